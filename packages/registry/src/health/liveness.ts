/** Whether a provider is there, as probes and calls have shown. */
export type Liveness =
  /** `recent`: whether each of its last probes timed out, the newest last. */
  | { readonly kind: "alive"; readonly recent: readonly boolean[] }
  /** Too many of its probes timed out. Whether it is hidden for that is decided apart: the fault may be the host's own. */
  | { readonly kind: "silent"; readonly hidden: boolean }
  /** Nobody listens at its address, or what does hangs up. */
  | { readonly kind: "dead"; readonly proof: DeathProof };

export type DeathProof = "refused" | "reset";

export type LivenessEvent = "answered" | "timed-out" | DeathProof;

export interface LivenessRules {
  /** So many time-outs ... */
  readonly misses: number;
  /** ... among so many probes make a provider silent. */
  readonly window: number;
}

/** Of a provider that has not been asked yet, and of one that has just come back. */
export const presumedAlive: Liveness = Object.freeze({ kind: "alive", recent: Object.freeze([]) });

/**
 * Liveness after a probe, or a call that could not connect. Pure.
 *
 * | state  | event          | when                        | next                 |
 * |--------|----------------|-----------------------------|----------------------|
 * | alive  | answered       |                             | alive                |
 * | alive  | timed-out      | fewer than `misses` of last | alive                |
 * | alive  | timed-out      | `misses` of the last        | silent, not hidden   |
 * | silent | answered       |                             | alive, nothing held  |
 * | silent | timed-out      |                             | silent, as it was    |
 * | silent | hide           |                             | silent, hidden       |
 * | dead   | answered       |                             | alive, nothing held  |
 * | dead   | timed-out      |                             | dead: it proves less |
 * | any    | refused, reset |                             | dead                 |
 */
export function afterSign(liveness: Liveness, event: LivenessEvent, { misses, window }: LivenessRules): Liveness {
  switch (event) {
    case "refused":
    case "reset":
      return liveness.kind === "dead" ? liveness : { kind: "dead", proof: event };
    case "answered":
      return liveness.kind === "alive"
        ? { kind: "alive", recent: kept(liveness.recent, false, window) }
        : presumedAlive;
    case "timed-out": {
      if (liveness.kind !== "alive") return liveness;
      const recent = kept(liveness.recent, true, window);
      const missed = recent.filter(Boolean).length;
      return missed < misses ? { kind: "alive", recent } : { kind: "silent", hidden: false };
    }
  }
}

/** See the table of `afterSign`. */
export function hide(liveness: Liveness): Liveness {
  return liveness.kind === "silent" && !liveness.hidden ? { kind: "silent", hidden: true } : liveness;
}

/** Whether it is not to be called. */
export function isGone(liveness: Liveness): boolean {
  return liveness.kind === "dead" || (liveness.kind === "silent" && liveness.hidden);
}

function kept(recent: readonly boolean[], timedOut: boolean, window: number): readonly boolean[] {
  return [...recent, timedOut].slice(-window);
}
