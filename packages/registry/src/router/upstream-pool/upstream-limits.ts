/** Bounds of a forwarder towards each provider. */
export interface ForwarderLimits {
  /** Bound on a connection, up to HTTP/2's first frame, and on waiting for one that is free, in ms. Default 5 000. */
  readonly connectTimeoutMs?: number | undefined;
  /** HTTP/2 connections. Default 16. */
  readonly maxSessions?: number | undefined;
  /** Calls at a time on an HTTP/2 connection, where the provider does not want fewer. Default 1 000. */
  readonly maxStreamsPerSession?: number | undefined;
  /** HTTP/1.1 connections, of which each carries a call at a time. Default 256. */
  readonly maxSockets?: number | undefined;
  /** Time after which an unused connection closes, in ms. Default 60 000. */
  readonly idleTimeoutMs?: number | undefined;
  /** Silence after which an HTTP/2 provider with open calls is asked for a sign of life, in ms. Default 20 000. */
  readonly pingIntervalMs?: number | undefined;
  /** Time for that sign; then the connection and its calls are lost. In ms. Default 15 000. */
  readonly pingTimeoutMs?: number | undefined;
  /** Bytes of the headers of an answer, and of its trailers. Default 65 536. */
  readonly maxHeaderBytes?: number | undefined;
}

export type ResolvedForwarderLimits = { readonly [Name in keyof ForwarderLimits]-?: number };

const maxTimerMs = 2 ** 31 - 1;

/** @throws {RangeError} naming the limit. */
export function resolveForwarderLimits(limits: ForwarderLimits = {}): ResolvedForwarderLimits {
  const { connectTimeoutMs = 5_000, maxSessions = 16, maxStreamsPerSession = 1_000, maxSockets = 256 } = limits;
  const { idleTimeoutMs = 60_000, pingIntervalMs = 20_000, pingTimeoutMs = 15_000, maxHeaderBytes = 65_536 } = limits;
  check("connectTimeoutMs", connectTimeoutMs, 1, maxTimerMs);
  check("maxSessions", maxSessions, 1, 10_000);
  check("maxStreamsPerSession", maxStreamsPerSession, 1, 100_000);
  check("maxSockets", maxSockets, 1, 65_535);
  check("idleTimeoutMs", idleTimeoutMs, 1, maxTimerMs);
  check("pingIntervalMs", pingIntervalMs, 1, maxTimerMs);
  check("pingTimeoutMs", pingTimeoutMs, 1, maxTimerMs);
  check("maxHeaderBytes", maxHeaderBytes, 1_024, 1024 * 1024);
  return {
    connectTimeoutMs,
    maxSessions,
    maxStreamsPerSession,
    maxSockets,
    idleTimeoutMs,
    pingIntervalMs,
    pingTimeoutMs,
    maxHeaderBytes,
  };
}

function check(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`limits.${name} must be a whole number from ${least} to ${most}, got ${value}`);
  }
}
