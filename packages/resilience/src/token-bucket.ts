export interface TokenBucketConfig {
  /** Most tokens it holds: what may be taken at once. At least 1. */
  readonly capacity: number;
  /** Tokens that flow in per second, up to the capacity. Greater than 0. */
  readonly refillPerSecond: number;
}

export interface TokenBucketState {
  readonly tokens: number;
  /** Monotonic ms at which `tokens` was right. */
  readonly atMs: number;
}

export type TokenBucketResult =
  | { readonly ok: true; readonly state: TokenBucketState }
  /** `retryAfterMs`: when the tokens asked for will be there, if nobody else takes any. */
  | { readonly ok: false; readonly state: TokenBucketState; readonly retryAfterMs: number };

/** A full bucket. @throws {RangeError} naming the setting. */
export function tokenBucket(config: TokenBucketConfig, nowMs: number): TokenBucketState {
  const { capacity, refillPerSecond } = config;
  if (!(capacity >= 1) || !Number.isFinite(capacity)) throw new RangeError(`capacity must be at least 1, got ${capacity}`);
  if (!(refillPerSecond > 0) || !Number.isFinite(refillPerSecond)) {
    throw new RangeError(`refillPerSecond must be greater than 0, got ${refillPerSecond}`);
  }
  return { tokens: capacity, atMs: nowMs };
}

/**
 * Takes one token, or as many as `count` says, if they are there. Pure: the state after it is in the result. A clock that
 * goes back refills nothing.
 * Algorithm: token bucket, RFC 2697 section 3 with one colour.
 */
export function take(state: TokenBucketState, nowMs: number, config: TokenBucketConfig, count = 1): TokenBucketResult {
  const { capacity, refillPerSecond } = config;
  const elapsedMs = Math.max(0, nowMs - state.atMs);
  const tokens = Math.min(capacity, state.tokens + (elapsedMs * refillPerSecond) / 1000);
  const atMs = Math.max(nowMs, state.atMs);
  if (tokens >= count) return { ok: true, state: { tokens: tokens - count, atMs } };
  return { ok: false, state: { tokens, atMs }, retryAfterMs: Math.ceil(((count - tokens) * 1000) / refillPerSecond) };
}
