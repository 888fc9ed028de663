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

/** Of requests that are no RPC. */
const ofRequests = new WeakMap<object, AuthContext>();

/**
 * Who calls, for handlers of unary and streaming calls, which have a context, and for handlers of plain Node requests
 * behind `authenticated`. Undefined: nobody has been proved.
 */
export function getAuth(source: { readonly values: ContextValues } | object): AuthContext | undefined {
  return "values" in source ? (source.values as ContextValues).get(authKey) : ofRequests.get(source);
}

/** Makes an identity known to handlers of a call, and to what else keys by identity, such as a rate limit. */
export function setAuth(values: ContextValues, auth: AuthContext): void {
  values.set(authKey, auth).set(verifiedIdentityKey, { id: auth.identity, source: auth.provider });
}

export function setRequestAuth(request: object, auth: AuthContext): void {
  ofRequests.set(request, auth);
}
