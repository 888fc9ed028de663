import type { ConnectError } from "@connectrpc/connect";

/** What the host tells of one routed call, once it has ended: for logs, metrics and audits. No header, no credential. */
export interface RoutedCallRecord {
  /** Runtime id of the verified caller. Undefined: it could not prove one. */
  readonly caller: string | undefined;
  /** Service type. Undefined: the path was malformed, or nobody looked at it. */
  readonly type: string | undefined;
  /** Runtime id of the provider that it last went to. */
  readonly provider: string | undefined;
  /** Path at the provider without base path and query, such as "/acme.kv.v1.KV/Get", as far as it is known. */
  readonly method: string | undefined;
  /** HTTP method. */
  readonly httpMethod: string;
  /**
   * "ok", or the name of an error code as Connect spells it, such as "not_found". It comes from the host itself, from the
   * provider's grpc-status or from its HTTP status. Undefined: a stream of Connect or gRPC-Web says it in its last
   * message, which the host does not read.
   */
  readonly code: string | undefined;
  /** HTTP status of the answer. Undefined: there was none. */
  readonly status: number | undefined;
  /** Bytes of the bodies that passed, without HTTP's framing. */
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly durationMs: number;
  /** Providers, or connections, that were tried. 0: the host refused the call itself. */
  readonly attempts: number;
  /** What the host refused the call with, or gave it up for. An answer of the provider is none. */
  readonly error: ConnectError | undefined;
}
