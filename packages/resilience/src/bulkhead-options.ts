import type { StreamRequest, UnaryRequest } from "@connectrpc/connect";
import type { BulkheadLimits } from "./bulkhead-state.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type CallKey, resolveCallKey } from "./internal/keyed-call.ts";

export interface BulkheadOptions {
  /** Most calls in flight at a time, for each key. Whole number from 1. */
  readonly maxConcurrent: number;
  /** Most calls that wait, for each key. Whole number from 0. Default 0: none waits. */
  readonly maxQueue?: number | undefined;
  /** Longest wait in the queue, in ms; a deadline of the call may end it sooner. Above 0, may be Infinity. Default 10 000. */
  readonly queueTimeoutMs?: number | undefined;
  /** Which calls share the limits. Default: all of them. */
  readonly key?: CallKey | undefined;
  /** Most keys with calls in flight; a call with one more is rejected. Whole number from 1. Default 1 000. */
  readonly maxKeys?: number | undefined;
  /** Default `systemClock`. */
  readonly clock?: Clock | undefined;
}

/** Options checked, defaults filled in. */
export interface BulkheadConfig extends BulkheadLimits {
  readonly queueTimeoutMs: number;
  /** Undefined: all calls have one key. */
  readonly keyOf: ((request: UnaryRequest | StreamRequest) => string) | undefined;
  readonly maxKeys: number;
  readonly clock: Clock;
}

/** @throws {RangeError} or {TypeError} naming the option. */
export function resolveBulkheadOptions(options: BulkheadOptions): BulkheadConfig {
  const { maxConcurrent, maxQueue = 0, queueTimeoutMs = 10_000, key, maxKeys = 1_000, clock = systemClock } = options;
  for (const [name, value] of Object.entries({ maxConcurrent, maxKeys })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`${name} must be a whole number from 1, got ${value}`);
    }
  }
  if (!Number.isInteger(maxQueue) || maxQueue < 0) {
    throw new RangeError(`maxQueue must be a whole number from 0, got ${maxQueue}`);
  }
  if (!(queueTimeoutMs > 0)) throw new RangeError(`queueTimeoutMs must be greater than 0, got ${queueTimeoutMs}`);
  const keyOf = key === undefined ? undefined : resolveCallKey(key);
  return { maxConcurrent, maxQueue, queueTimeoutMs, keyOf, maxKeys, clock };
}
