import { randomInt } from "node:crypto";
import { type Clock, systemClock } from "@cpg/resilience";
import type { GivenGrant } from "./given-grant.ts";

export interface CapabilityOptions {
  /** Least version, by semantic version precedence; "" is any. Default: the version of the descriptor. */
  readonly minVersion?: string | undefined;
  /** What the plugin wants it for; the host's policy and its audit see it. At most 256 bytes. Default: nothing. */
  readonly reason?: string | undefined;
  /** Time to live to ask for, in ms; the host may give less. Default: the host's. */
  readonly ttlMs?: number | undefined;
  /** A grant that another plugin derived for this one, in place of asking the host. Default: the host is asked. */
  readonly grant?: GivenGrant | undefined;
  /** Bound on each question to the host, in ms. Default 10 000. */
  readonly attemptMs?: number | undefined;
  /** Time for which a refusal is remembered, in ms: calls fail meanwhile, and the host is not asked. Default 30 000. */
  readonly deniedMs?: number | undefined;
  readonly clock?: Clock | undefined;
  /** Source of jitter, at least 0 and less than 1. */
  readonly random?: (() => number) | undefined;
}

const steps = 2 ** 32;

/** @throws {RangeError} naming the option. */
export function resolveCapabilityOptions(version: string, options: CapabilityOptions) {
  const { minVersion = version, reason = "", ttlMs, grant, attemptMs = 10_000, deniedMs = 30_000 } = options;
  const { clock = systemClock, random = () => randomInt(steps) / steps } = options;
  for (const [name, ms] of Object.entries({ attemptMs, deniedMs, ttlMs: ttlMs ?? 1 })) {
    if (!(Number.isFinite(ms) && ms > 0)) {
      throw new RangeError(`${name} must be a number of ms greater than 0, got ${ms}`);
    }
  }
  return { minVersion, reason, ttlMs, grant, attemptMs, deniedMs, clock, random };
}
