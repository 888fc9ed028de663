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
  | { readonly kind: "refused"; readonly reason: string }
  /** Whether it holds cannot be told now, such as while a key server is down. */
  | { readonly kind: "unavailable"; readonly reason: string };

export interface ServerAuthOptions {
  /** Lets calls without any credential through, as nobody; a bad credential is refused all the same. Default false. */
  readonly optional?: boolean | undefined;
}

/** One way to prove who calls. */
export interface AuthProvider {
  /** Lower-case, such as "token" or "mtls". */
  readonly name: string;
  /**
   * Where it looks for its credential, such as "header authorization". Of several providers that look at one place, the
   * first that finds a credential of its kind decides about it alone.
   */
  readonly place: string;
  /** Adds this side's credentials to every call. */
  clientInterceptor(): Interceptor;
  /**
   * Lets only calls through whose credential holds, and tells handlers who calls (`getAuth`). Others end with
   * `unauthenticated`, or `unavailable` when nobody can tell now, and a text that does not say why.
   * @throws {ConnectError} in calls, as said.
   */
  serverInterceptor(options?: ServerAuthOptions): Interceptor;
  /** What the interceptor is made of, and `composeAuth`. Never throws or rejects, whatever a caller sends. */
  authenticate(request: AuthRequest): AuthOutcome | Promise<AuthOutcome>;
}

/** A provider as its author writes it; `defineAuthProvider` adds the rest. */
export type AuthMethod = Pick<AuthProvider, "name" | "place" | "clientInterceptor" | "authenticate">;
