/**
 * What became of the credentials of one request, for logs and audit. Holds no credential; `reason` is not for the caller.
 */
export type AuthEvent = AuthFacts &
  (
    | { readonly kind: "proved"; readonly provider: string; readonly identity: string }
    | { readonly kind: "refused" | "unavailable"; readonly provider: string; readonly reason: string }
    | { readonly kind: "absent" }
  );

interface AuthFacts {
  /** Path of the request, without its query. */
  readonly path: string;
  /** IP address of the peer, if there is one and the server tells. */
  readonly address: string | undefined;
}

export interface AuthEventOptions {
  /** Hears of every request. What it throws is dropped. Default: nobody. */
  readonly onEvent?: ((event: AuthEvent) => void) | undefined;
}
