import type { Interceptor } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import type { CallTransport } from "./call-transport.ts";
import { checkMessageBytes, checkRange, DEFAULT_MAX_MESSAGE_BYTES, MAX_TIMER_MS } from "./call-transport-options.ts";

/** How calls to a server without an address travel. What is about HTTP has no meaning for them. */
export interface DirectCallOptions {
  /** The first is outermost. */
  readonly interceptors?: readonly Interceptor[] | undefined;
  /** Time-out of unary calls that set none themselves, in ms. 0: none. Default 60 000. Streams have no total limit. */
  readonly callTimeoutMs?: number | undefined;
  /** Bytes of one message, in and out. Default 4 MiB. */
  readonly maxMessageBytes?: number | undefined;
  readonly clock?: Clock | undefined;
}

/** A server that is reached without a socket, in this process or one of its threads. */
export interface DirectEndpoint {
  /** For logs and errors, such as "memory:kv" or "worker:kv". */
  readonly name: string;
  /**
   * Opens a way to call it, which its caller closes. Its `httpVersion` is undefined.
   * @throws {RangeError} for bad options, naming the option.
   */
  open(options: DirectCallOptions): CallTransport;
}

/** @throws {RangeError} naming the option. */
export function checkDirectCallOptions(options: DirectCallOptions): void {
  const { callTimeoutMs = 60_000, maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES } = options;
  checkMessageBytes("maxMessageBytes", maxMessageBytes);
  checkRange("callTimeoutMs", callTimeoutMs, 0, MAX_TIMER_MS);
}
