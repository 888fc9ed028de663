import type { WindowCounts } from "./sliding-window.ts";

/** One circuit. Data that exists in one state only is only there. */
export type CircuitState =
  | {
      readonly kind: "closed";
      /** Failures in a row, the latest calls. */
      readonly failures: number;
    }
  | {
      readonly kind: "open";
      /** Monotonic ms from which on probes are let in. */
      readonly untilMs: number;
      /** How many times it opened since it was last closed. */
      readonly opened: number;
    }
  | {
      readonly kind: "half-open";
      /** Probes under way, the oldest first. */
      readonly probes: readonly Probe[];
      /** Probes let in so far; the next one gets this number. */
      readonly started: number;
      readonly successes: number;
      readonly opened: number;
    }
  /** By hand: lets nothing in, until somebody says otherwise. Elsewhere called isolated. */
  | { readonly kind: "forced-open" }
  /** By hand: lets everything in and learns nothing. Elsewhere called disabled. */
  | { readonly kind: "forced-closed" };

export type CircuitKind = CircuitState["kind"];

/** A call let in to find out whether the circuit can close. */
export interface Probe {
  readonly number: number;
  readonly startedMs: number;
}

/** What the end of a call says about the callee. "ignored": nothing. */
export type CallVerdict = "success" | "failure" | "ignored";

/** The settings on which transitions depend. */
export interface CircuitConfig {
  readonly failureThreshold: number;
  readonly failureRate: number;
  readonly slowCallRate: number;
  readonly minimumCalls: number;
  readonly openMs: number;
  readonly openFactor: number;
  readonly openMaxMs: number;
  readonly permittedProbes: number;
  readonly successThreshold: number;
  readonly probeMaxAgeMs: number;
}

/** What a call that arrives may do. `probe`: its number, if it is one. */
export type Admission =
  | { readonly state: CircuitState; readonly admitted: true; readonly probe?: number | undefined }
  | { readonly state: CircuitState; readonly admitted: false; readonly retryAfterMs: number };

/** The end of a call, as the circuit sees it. */
export interface CallEnd {
  readonly verdict: CallVerdict;
  /** The number of the probe, if the call was one. */
  readonly probe?: number | undefined;
  /** What the calls of the window came to, this one included; undefined where no rate is limited. */
  readonly counts?: WindowCounts | undefined;
}

export const closedCircuit: CircuitState = { kind: "closed", failures: 0 };

/**
 * What becomes of a call that arrives, and the state after that. Pure.
 *
 * | state | when | next state | effect |
 * |---|---|---|---|
 * | closed, forced-closed | | same | let in |
 * | open | before `untilMs` | same | rejected until then |
 * | open | from `untilMs` on | half-open | let in as the first probe |
 * | half-open | fewer than `permittedProbes` younger than `probeMaxAgeMs` | half-open | let in as a probe |
 * | half-open | otherwise | same | rejected for a tenth of `openMs`, less if a probe is about to be too old |
 * | forced-open | | same | rejected for `openMs` |
 *
 * A probe that is too old is given up: the next call takes its place, and its end is no longer looked at.
 */
export function admit(state: CircuitState, nowMs: number, config: CircuitConfig): Admission {
  switch (state.kind) {
    case "closed":
    case "forced-closed":
      return { state, admitted: true };
    case "forced-open":
      return { state, admitted: false, retryAfterMs: config.openMs };
    case "open": {
      if (nowMs < state.untilMs) return { state, admitted: false, retryAfterMs: state.untilMs - nowMs };
      const probes = [{ number: 0, startedMs: nowMs }];
      const next: CircuitState = { kind: "half-open", probes, started: 1, successes: 0, opened: state.opened };
      return { state: next, admitted: true, probe: 0 };
    }
    case "half-open": {
      const alive = state.probes.filter(({ startedMs }) => nowMs - startedMs < config.probeMaxAgeMs);
      const [oldest] = alive;
      if (oldest !== undefined && alive.length >= config.permittedProbes) {
        const retryAfterMs = Math.min(config.openMs / 10, oldest.startedMs + config.probeMaxAgeMs - nowMs);
        return { state, admitted: false, retryAfterMs };
      }
      const probes = [...alive, { number: state.started, startedMs: nowMs }];
      const next: CircuitState = { ...state, probes, started: state.started + 1 };
      return { state: next, admitted: true, probe: state.started };
    }
  }
}

/**
 * The state after a call ended. Pure. Only for calls that began in this state: the end of one that began before the
 * latest change of `kind` is not passed in at all.
 *
 * | state | end | next state |
 * |---|---|---|
 * | closed | ignored | same |
 * | closed | `failures` in a row would reach `failureThreshold` | open |
 * | closed | a rate is reached, by at least `minimumCalls` | open |
 * | closed | success otherwise | closed, no failures |
 * | closed | failure otherwise | closed, one failure more |
 * | half-open | of a call that is no probe under way | same |
 * | half-open | ignored | half-open, the place is free |
 * | half-open | success, and `successThreshold` is reached | closed |
 * | half-open | success otherwise | half-open, the place is free, one success more |
 * | half-open | failure | open, longer by `openFactor` up to `openMaxMs` |
 * | open, forced-open, forced-closed | | same |
 */
export function afterCall(state: CircuitState, end: CallEnd, nowMs: number, config: CircuitConfig): CircuitState {
  switch (state.kind) {
    case "closed": {
      if (end.verdict === "ignored") return state;
      const failures = end.verdict === "failure" ? state.failures + 1 : 0;
      if (failures >= config.failureThreshold || rateReached(end.counts, config)) return opened(1, nowMs, config);
      return failures === 0 ? closedCircuit : { kind: "closed", failures };
    }
    case "half-open": {
      const probes = state.probes.filter(({ number }) => number !== end.probe);
      if (probes.length === state.probes.length) return state;
      if (end.verdict === "failure") return opened(state.opened + 1, nowMs, config);
      if (end.verdict === "ignored") return { ...state, probes };
      const successes = state.successes + 1;
      return successes >= config.successThreshold ? closedCircuit : { ...state, probes, successes };
    }
    case "open":
    case "forced-open":
    case "forced-closed":
      return state;
  }
}

function opened(times: number, nowMs: number, { openMs, openFactor, openMaxMs }: CircuitConfig): CircuitState {
  const forMs = Math.min(openMaxMs, openMs * openFactor ** (times - 1));
  return { kind: "open", untilMs: nowMs + forMs, opened: times };
}

function rateReached(counts: WindowCounts | undefined, config: CircuitConfig): boolean {
  if (counts === undefined || counts.calls < config.minimumCalls) return false;
  const { calls, failures, slowCalls } = counts;
  return failures / calls >= config.failureRate || slowCalls / calls >= config.slowCallRate;
}
