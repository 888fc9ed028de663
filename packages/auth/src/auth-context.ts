import { type ContextKey, type ContextValues, createContextKey } from "@connectrpc/connect";
import { verifiedIdentityKey } from "@cpg/resilience";

/** Who calls, as a provider has proved it. */
export interface AuthContext {
  /** Who: a subject, a name, a SPIFFE id. */
  readonly identity: string;
  /** What else the credential says of it. Holds no credential. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** Name of the provider that proved it. */
  readonly provider: string;
}

/** Who calls, in the context values of a call on a server. Undefined: nobody has been proved. */
export const authKey: ContextKey<AuthContext | undefined> = createContextKey<AuthContext | undefined>(undefined, {
  description: "who calls, proved",
});

/** Who makes this call, for handlers of unary and streaming calls. Undefined: nobody has been proved. */
export function getAuth(context: { readonly values: ContextValues }): AuthContext | undefined {
  return context.values.get(authKey);
}

/** Makes an identity known to handlers, and to what else keys by identity, such as a rate limit. */
export function setAuth(values: ContextValues, auth: AuthContext): void {
  values.set(authKey, auth).set(verifiedIdentityKey, { id: auth.identity, source: auth.provider });
}
