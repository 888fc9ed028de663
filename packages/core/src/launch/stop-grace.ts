import type { StopOptions } from "./launch-plugin.ts";

/** How long a plugin may take after SIGTERM, in ms, unless a request says so. */
export const DEFAULT_TERM_GRACE_MS = 5_000;

/** @throws {RangeError} naming the option. */
export function checkStopGrace({ graceMs = 0, termGraceMs = 0 }: StopOptions): void {
  for (const [option, ms] of Object.entries({ graceMs, termGraceMs })) {
    if (!(ms >= 0 && ms < Number.POSITIVE_INFINITY)) {
      throw new RangeError(`${option} must be a number of ms from 0, got ${ms}`);
    }
  }
}
