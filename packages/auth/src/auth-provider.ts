import type { Interceptor } from "@connectrpc/connect";
import type { Peer } from "@cpg/resilience";
import type { AuthContext } from "./auth-context.ts";

/** What a provider sees of a request, RPC or not. */
export interface AuthRequest {
  readonly header: Headers;
  /** The other end of the connection, if the server tells. */
  readonly peer: Peer | undefined;
  /** Path of the request, "/package.Service/Method" for an RPC. */
  readonly path: string;
}

/** What a provider makes of a request. */
export type AuthOutcome =
  /** It carries no credential of this provider's kind. */
  | { readonly kind: "absent" }
  | { readonly kind: "proved"; readonly auth: AuthContext }
  /** It carries one that does not hold. `reason` is for logs and audit, never for the caller; it holds no credential. */
  | { readonly kind: "refused"; readonly reason: string };

/** One way to prove who calls. */
export interface AuthProvider {
  /** Lower-case, such as "token" or "mtls". */
  readonly name: string;
  /** Adds this side's credentials to every call. */
  clientInterceptor(): Interceptor;
  /**
   * Lets only calls through whose credential holds, and tells handlers who calls (`getAuth`). All others end with
   * `unauthenticated` and one text that does not say why.
   */
  serverInterceptor(): Interceptor;
  /** What the interceptor is made of, and `composeAuth`. Must not throw for whatever a caller sends. */
  authenticate(request: AuthRequest): AuthOutcome | Promise<AuthOutcome>;
}
