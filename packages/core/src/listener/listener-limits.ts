/** What a listener grants its peers. */
export interface ListenerLimits {
  /**
   * Connections at a time; one more is closed at once. Whole number from 1. Default 4096: room for hundreds of plugins
   * and clients, while idle connections, at some 100 KB each, cannot take more than half a gigabyte.
   */
  readonly maxConnections: number;
  /**
   * Time for the first bytes and the TLS handshake, and again for the headers of each HTTP/1 request, in ms. From 1.
   * Default 10 000: slow networks take a second or two; whoever needs longer holds connections for their own sake.
   */
  readonly headerTimeoutMs: number;
  /**
   * Time for a whole HTTP/1 request, its body included, in ms. At least headerTimeoutMs, or 0 for no limit. Default 0,
   * because the body of a streaming call may take as long as it likes.
   */
  readonly requestTimeoutMs: number;
  /**
   * Time after which a connection without a call in flight is closed, in ms. From 1. Default 360 000: longer than our
   * clients keep an unused connection (300 000), so that they close it, and never send a call into a closing one.
   */
  readonly idleTimeoutMs: number;
  /**
   * Bytes of the headers of one request, names and values (HTTP/2 adds 32 for each header). Between 1024 and 1 MiB.
   * Default 16 384, as Node. HTTP/1 answers 431, HTTP/2 ends the stream.
   */
  readonly maxHeaderBytes: number;
  /**
   * Calls at a time on one HTTP/2 connection; further ones wait at the client. Whole number from 1. Default 1000: open
   * streams such as watches count, and a client of ours sends all its calls over one connection.
   */
  readonly maxConcurrentStreams: number;
  /**
   * Requests that one connection may carry; with the last one its peer is told to open another. Whole number from 1, or 0
   * for no limit. Default 0. With `maxConnectionAgeMs` it bounds for how long a certificate that was replaced stays in use.
   */
  readonly maxRequestsPerConnection: number;
  /**
   * Age at which a connection's peer is told to open another, in ms; calls in flight finish. From 1, or 0 for no limit.
   * Default 0. Each connection gets up to a tenth more, so that those that were opened together do not end together.
   */
  readonly maxConnectionAgeMs: number;
}

/** Those that are not given have their defaults. */
export type ListenerLimitOptions = { readonly [Name in keyof ListenerLimits]?: ListenerLimits[Name] | undefined };

const maxTimeoutMs = 2 ** 31 - 1;
/** With the tenth that is added it still fits a timer. */
const longestAgeMs = 1_900_000_000;

/** @throws {RangeError} naming the limit. */
export function resolveListenerLimits(limits: ListenerLimitOptions = {}): ListenerLimits {
  const { maxConnections = 4096, maxConcurrentStreams = 1000, maxHeaderBytes = 16_384 } = limits;
  const { headerTimeoutMs = 10_000, requestTimeoutMs = 0, idleTimeoutMs = 360_000 } = limits;
  const { maxRequestsPerConnection = 0, maxConnectionAgeMs = 0 } = limits;
  checkRange("maxConnections", maxConnections, 1, 1_000_000);
  checkRange("maxConcurrentStreams", maxConcurrentStreams, 1, 1_000_000);
  checkRange("maxHeaderBytes", maxHeaderBytes, 1024, 1024 * 1024);
  checkRange("headerTimeoutMs", headerTimeoutMs, 1, maxTimeoutMs);
  checkRange("idleTimeoutMs", idleTimeoutMs, 1, maxTimeoutMs);
  if (requestTimeoutMs !== 0) checkRange("requestTimeoutMs", requestTimeoutMs, headerTimeoutMs, maxTimeoutMs);
  checkRange("maxRequestsPerConnection", maxRequestsPerConnection, 0, Number.MAX_SAFE_INTEGER);
  checkRange("maxConnectionAgeMs", maxConnectionAgeMs, 0, longestAgeMs);
  return {
    maxConnections,
    headerTimeoutMs,
    requestTimeoutMs,
    idleTimeoutMs,
    maxHeaderBytes,
    maxConcurrentStreams,
    maxRequestsPerConnection,
    maxConnectionAgeMs,
  };
}

function checkRange(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`limits.${name} must be a whole number between ${least} and ${most}, got ${value}`);
  }
}
