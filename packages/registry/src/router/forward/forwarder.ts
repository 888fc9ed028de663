import type { Exchange } from "../exchange/exchange.ts";
import type { HttpUpstream, UnixUpstream } from "../upstream.ts";

/** An upstream that is reached over a socket. */
export type SocketUpstream = HttpUpstream | UnixUpstream;

/** Where a request goes, and as what. */
export interface ForwardRequest {
  readonly upstream: SocketUpstream;
  readonly method: string;
  /** Path and query at the provider, base path included. */
  readonly path: string;
  /**
   * Names, in lower case, and values in turn. What is about one connection is taken out, as RFC 9110, section 7.6.1, says
   * (also what `connection` names); Host and :authority come from the upstream.
   */
  readonly headers: readonly string[];
}

/** Why a request was not sent, or not looked at. */
export type UnsentCause =
  /** Nobody listens there, or what listens hung up before anything was sent. */
  | "refused"
  /** No connection within the time: TCP, TLS and HTTP/2's first frame together. */
  | "timeout"
  /** The network knows no way. */
  | "unreachable"
  /** TLS could not be agreed on, or the certificate is not good. */
  | "tls"
  /** What listens does not speak the HTTP it should. */
  | "protocol"
  /** The provider is there and says that it did not look at it: REFUSED_STREAM, or GOAWAY. */
  | "unprocessed"
  /** Every connection that may be open to it is taken, and none got free in time. */
  | "busy"
  /** The request cannot be written in the provider's version of HTTP, such as one with a header twice: the caller's fault. */
  | "request"
  /** The forwarder was closed. */
  | "closed";

/**
 * What broke: "connection", the one to the provider was lost, with every call on it; "silence", it was given up, as nothing
 * came over it any more, for which the network may be to blame; "stream", the provider gave up this
 * call only, or answered it with what is no HTTP.
 */
export type LostCause = "connection" | "silence" | "stream";

/** How forwarding ended. */
export type ForwardEnd =
  /** An answer began, and was passed on to its end, or to where it was cut. */
  | {
      readonly kind: "answered";
      /** HTTP status. */
      readonly status: number;
      /** Of the answer; "" if there is none. */
      readonly contentType: string;
      /** Value of grpc-status, among headers or trailers. */
      readonly grpcStatus: string | undefined;
      /** Undefined: it came to its end. Otherwise the caller has seen a reset. */
      readonly cut: LostCause | undefined;
    }
  /** No handler of the provider has seen the request; nothing was answered. `replayable`: it can be forwarded once more. */
  | { readonly kind: "unsent"; readonly cause: UnsentCause; readonly error: Error; readonly replayable: boolean }
  /** It was sent, or parts of it were, and no answer began. Nothing was answered. */
  | { readonly kind: "lost"; readonly cause: LostCause; readonly error: Error }
  /** The caller left, or the exchange was ended by `fail` or `destroy`. `status`: of the answer, if it had begun. */
  | { readonly kind: "aborted"; readonly status: number | undefined };

/**
 * Carries the bytes of requests to providers and back, over connections that it keeps. The seam behind which the way of
 * doing that can change.
 */
export interface Forwarder {
  /**
   * Carries one exchange to its end. Never rejects, and never answers for itself: after "unsent" and "lost" the exchange
   * waits for `fail`, or for another `forward`.
   */
  forward(exchange: Exchange, request: ForwardRequest): Promise<ForwardEnd>;
  /** Calls go there no more: its connections close after those in flight. */
  retire(upstream: SocketUpstream): void;
  /** Ends everything: calls in flight end as "unsent", or are cut. Resolves when all connections are closed. Idempotent. */
  close(): Promise<void>;
}
