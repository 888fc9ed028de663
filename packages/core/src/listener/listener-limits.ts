/** Bounds on what peers can make a listener hold. */
export interface ListenerLimits {
  /** Open connections; more are refused at once. Default 10 000. */
  readonly maxConnections: number;
  /**
   * Time until a connection has shown which protocol it speaks, finished its TLS handshake and, in HTTP/1.1, sent the
   * headers of a request, in ms. Default 10 000.
   */
  readonly headerTimeoutMs: number;
  /** Time in which an HTTP/1.1 request has to arrive, body included, in ms; 0: no bound, for streams. Default 0. */
  readonly requestTimeoutMs: number;
  /** Time for which a connection without calls is kept, in ms. Default 120 000. */
  readonly idleTimeoutMs: number;
  /** Bytes of the headers of one request. Default 16 KiB, as Node's. */
  readonly maxHeaderBytes: number;
  /** HTTP/2 streams of one connection at a time; more are refused. Default 1 000. */
  readonly maxConcurrentStreams: number;
}

const defaults: ListenerLimits = {
  maxConnections: 10_000,
  headerTimeoutMs: 10_000,
  requestTimeoutMs: 0,
  idleTimeoutMs: 120_000,
  maxHeaderBytes: 16 * 1024,
  maxConcurrentStreams: 1_000,
};

/** What Node takes for each limit. */
const ranges: { readonly [Name in keyof ListenerLimits]: readonly [number, number] } = {
  maxConnections: [1, 1_000_000],
  headerTimeoutMs: [1, 2 ** 31 - 1],
  requestTimeoutMs: [0, 2 ** 31 - 1],
  idleTimeoutMs: [1, 2 ** 31 - 1],
  maxHeaderBytes: [1024, 16 * 1024 * 1024],
  maxConcurrentStreams: [1, 2 ** 31 - 1],
};

/** Fills in the defaults. @throws {RangeError} naming the limit. */
export function resolveListenerLimits(limits: { readonly [Name in keyof ListenerLimits]?: number | undefined } = {}): ListenerLimits {
  const pick = (name: keyof ListenerLimits): number => {
    const value = limits[name] ?? defaults[name];
    const [min, max] = ranges[name];
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new RangeError(`limits.${name} must be a whole number from ${min} to ${max}, got ${value}`);
    }
    return value;
  };
  return {
    maxConnections: pick("maxConnections"),
    headerTimeoutMs: pick("headerTimeoutMs"),
    requestTimeoutMs: pick("requestTimeoutMs"),
    idleTimeoutMs: pick("idleTimeoutMs"),
    maxHeaderBytes: pick("maxHeaderBytes"),
    maxConcurrentStreams: pick("maxConcurrentStreams"),
  };
}
