/** Limits how often something happens: bursts up to `capacity`, in the long run `refillPerSecond`. */
export interface TokenBucketConfig {
  /** Most tokens it holds: what may be taken at once. At least 1. */
  readonly capacity: number;
  /** Tokens that flow in per second, up to the capacity. Greater than 0. */
  readonly refillPerSecond: number;
}

/** Two numbers, however long the bucket is in use. Made by `tokenBucket`, replaced by each `take`. */
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
  if (!(capacity >= 1)) throw new RangeError(`capacity must be at least 1, got ${capacity}`);
  if (!(refillPerSecond > 0)) throw new RangeError(`refillPerSecond must be greater than 0, got ${refillPerSecond}`);
  for (const [name, value] of Object.entries({ capacity, refillPerSecond })) {
    if (!Number.isFinite(value)) throw new RangeError(`${name} must be a finite number, got ${value}`);
  }
  return { tokens: capacity, atMs: nowMs };
}

/** Tokens in the bucket at `nowMs`. A clock that goes back refills nothing. */
function level(state: TokenBucketState, nowMs: number, { capacity, refillPerSecond }: TokenBucketConfig): number {
  return Math.min(capacity, state.tokens + (Math.max(0, nowMs - state.atMs) * refillPerSecond) / 1000);
}

/**
 * Takes `count` tokens if all of them are there, else none. Pure: the state after it is in the result.
 *
 * | tokens at `nowMs` | result | tokens after |
 * |---|---|---|
 * | at least `count` | ok | `count` less |
 * | fewer | not ok, with the ms until there are enough | the same |
 *
 * Algorithm: token bucket with one rate, as in RFC 2697 section 3, and with fractions of a token.
 * @param count greater than 0, at most the capacity. Default 1.
 * @throws {RangeError} for a count that could never be taken.
 */
export function take(state: TokenBucketState, nowMs: number, config: TokenBucketConfig, count = 1): TokenBucketResult {
  if (!(count > 0 && count <= config.capacity)) {
    throw new RangeError(`count must be greater than 0 and at most the capacity (${config.capacity}), got ${count}`);
  }
  const tokens = level(state, nowMs, config);
  const atMs = Math.max(nowMs, state.atMs);
  if (tokens >= count) return { ok: true, state: { tokens: tokens - count, atMs } };
  const refused: TokenBucketState = { tokens, atMs };
  // From now to `atMs` a clock that went back refills nothing, so that time is waited for too.
  const wholeMs = Math.ceil(((count - tokens) * 1000) / config.refillPerSecond + (atMs - nowMs));
  // Rounding may leave it a hair too short.
  const retryAfterMs = level(refused, nowMs + wholeMs, config) >= count ? wholeMs : wholeMs + 1;
  return { ok: false, state: refused, retryAfterMs };
}
