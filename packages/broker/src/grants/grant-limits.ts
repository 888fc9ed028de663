import type { TokenBucketConfig } from "@cpg/resilience";
import type { GrantLimits } from "./grants.ts";

export interface ResolvedGrantLimits {
  readonly maxGrants: number;
  readonly maxGrantsPerIdentity: number;
  readonly maxDepth: number;
  readonly maxConcurrentCalls: number;
  readonly rate: TokenBucketConfig;
}

/** @throws {RangeError} naming the limit. */
export function resolveGrantLimits(limits: GrantLimits = {}): ResolvedGrantLimits {
  const { maxGrants = 100_000, maxGrantsPerIdentity = 100, maxDepth = 4, maxConcurrentCalls = 100 } = limits;
  const { callsPerSecond = 1_000, callBurst = Math.max(1, Math.ceil(2 * callsPerSecond)) } = limits;
  if (!(callsPerSecond > 0 && callsPerSecond < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`limits.callsPerSecond must be a finite number greater than 0, got ${callsPerSecond}`);
  }
  checkWhole("maxGrants", maxGrants, 1);
  checkWhole("maxGrantsPerIdentity", maxGrantsPerIdentity, 1);
  checkWhole("maxDepth", maxDepth, 0);
  checkWhole("maxConcurrentCalls", maxConcurrentCalls, 1);
  checkWhole("callBurst", callBurst, 1);
  const rate = { capacity: callBurst, refillPerSecond: callsPerSecond };
  return { maxGrants, maxGrantsPerIdentity, maxDepth, maxConcurrentCalls, rate };
}

/** @throws {RangeError} for what is no time; undefined is a default. */
export function checkTtl(name: string, ttlMs: number | undefined): void {
  if (ttlMs === undefined || (ttlMs > 0 && ttlMs < Number.POSITIVE_INFINITY)) return;
  throw new RangeError(`${name} must be a finite number of ms greater than 0, got ${ttlMs}`);
}

function checkWhole(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new RangeError(`limits.${name} must be a whole number from ${least}, got ${value}`);
  }
}
