import type { ConnectError } from "@connectrpc/connect";
import type { Peer } from "@cpg/resilience";
import type { CallerEvents, CallerStream } from "./caller-stream.ts";

/** How a request came to its end: "aborted" when its answer did not, whoever is to blame. */
export type ExchangeEnd = "finished" | "aborted";

/** A request that arrived, and its answer: the same for HTTP/1.1 and HTTP/2. */
export interface Exchange {
  /** In which the request came. */
  readonly httpVersion: "1.0" | "1.1" | "2.0";
  readonly method: string;
  /** Path and query as received. Also "*", or what else HTTP/1.1 allows there. */
  readonly target: string;
  /** Names, in lower case, and values in turn, as received; without HTTP/2's pseudo headers. Not to be changed. */
  readonly headers: readonly string[];
  /** Of the request; "" if there is none. */
  readonly contentType: string;
  /** Who sent it, as its connection shows. */
  readonly peer: Peer;
  /** Bytes of the bodies that passed so far, without HTTP's framing. Those of an answer of `fail` do not count. */
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Calls the listener once, when the answer is sent or never will be. At once if that is so already. */
  onClosed(listener: (end: ExchangeEnd) => void): void;
  /**
   * Answers with an error of the host's own, in the protocol that the caller speaks. An answer that has begun ends with it
   * if it is one of envelopes and one more fits; any other is reset.
   * A call that is being forwarded ends. Does nothing after the end. What is left of the request's body is not waited for.
   * @param httpStatus in place of that of the error's code, where each error has an HTTP status of its own: unary calls of
   * Connect and plain HTTP.
   */
  fail(error: ConnectError, httpStatus?: number): void;
  /** Ends it without an answer: the stream is reset, or HTTP/1.1's connection cut. Does nothing after the end. */
  destroy(): void;
  /**
   * For the forwarder: its bytes. May be called again after `CallerStream.release`, and then begins with what was kept of
   * the request's body.
   */
  carry(events: CallerEvents): CallerStream;
}
