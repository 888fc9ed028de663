import { byIdentity, type CallerKey } from "./caller-key.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { TokenBucketConfig } from "./token-bucket.ts";

export interface RateLimitOptions {
  /** Calls per interval in the long run, for each key. Greater than 0. */
  readonly limit: number;
  /** The interval, in ms. Greater than 0. Default 1 000. */
  readonly intervalMs?: number | undefined;
  /** Calls at once, after a rest. At least 1. Default `limit`, or 1 if that is more. */
  readonly burst?: number | undefined;
  /** Which calls share the limit. Default `byIdentity`. */
  readonly key?: CallerKey | undefined;
  /** Most keys with a limit of their own; those above it share one more. Whole number from 1. Default 10 000. */
  readonly maxKeys?: number | undefined;
  /**
   * For clients: a call may wait that long for its turn, in ms. One that would have to wait longer, or beyond its own
   * time-out, is rejected at once. At least 0, finite. Default 0: none waits.
   */
  readonly maxWaitMs?: number | undefined;
  /** Most calls that wait at a time, for each key. Whole number from 1. Goes with `maxWaitMs`. Default 1 000. */
  readonly maxQueue?: number | undefined;
  /** Default `systemClock`. */
  readonly clock?: Clock | undefined;
}

/** Options checked, defaults filled in. */
export interface RateLimitConfig {
  readonly bucket: TokenBucketConfig;
  readonly key: CallerKey;
  readonly maxKeys: number;
  readonly maxWaitMs: number;
  readonly maxQueue: number;
  readonly clock: Clock;
}

/** @throws {RangeError} or {TypeError} naming the option. */
export function resolveRateLimitOptions(options: RateLimitOptions): RateLimitConfig {
  const { limit, intervalMs = 1_000, burst = Math.max(1, limit), key = byIdentity, maxKeys = 10_000 } = options;
  const { maxWaitMs = 0, maxQueue = 1_000, clock = systemClock } = options;
  for (const [name, value] of Object.entries({ limit, intervalMs })) {
    if (!(value > 0 && value < Infinity)) throw new RangeError(`${name} must be a finite number above 0, got ${value}`);
  }
  if (!(burst >= 1 && burst < Infinity)) throw new RangeError(`burst must be a finite number from 1, got ${burst}`);
  if (!(maxWaitMs >= 0 && maxWaitMs < Infinity)) {
    throw new RangeError(`maxWaitMs must be a finite number from 0, got ${maxWaitMs}`);
  }
  for (const [name, value] of Object.entries({ maxKeys, maxQueue })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`${name} must be a whole number from 1, got ${value}`);
    }
  }
  if (options.maxQueue !== undefined && maxWaitMs === 0) {
    throw new TypeError("maxQueue must be given together with maxWaitMs");
  }
  if (typeof key !== "function") throw new TypeError(`key must be a function, got ${String(key)}`);
  const refillPerSecond = (limit * 1_000) / intervalMs;
  if (!(refillPerSecond > 0 && refillPerSecond < Infinity)) {
    throw new RangeError(`limit by intervalMs must be a rate that a number can hold, got ${limit} / ${intervalMs}`);
  }
  return { bucket: { capacity: burst, refillPerSecond }, key, maxKeys, maxWaitMs, maxQueue, clock };
}
