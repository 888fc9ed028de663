import { type ContextKey, createContextKey } from "@connectrpc/connect";

/** Who is calling, after it was proved. */
export interface VerifiedIdentity {
  readonly id: string;
  /** What proved it, such as "runtime-identity" or the name of an auth provider. */
  readonly source: string;
}

/** The verified identity of the caller, in the context values of a call on the server. Undefined: nobody proved one. */
export const verifiedIdentityKey: ContextKey<VerifiedIdentity | undefined> = createContextKey<
  VerifiedIdentity | undefined
>(undefined, { description: "verified identity of the caller" });
