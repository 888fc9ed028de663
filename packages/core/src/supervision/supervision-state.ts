import { type BackoffConfig, backoffDelay } from "@cpg/resilience";

/** What the machine decides by. Durations in ms. */
export interface SupervisionRules {
  readonly backoff: BackoffConfig;
  /** Ends within `windowMs` after which the plugin is still restarted. */
  readonly maxRestarts: number;
  readonly windowMs: number;
  /** A run at least this long wipes the ends before it out. */
  readonly stableMs: number;
  /** Probes missed in a row that end a run. */
  readonly failures: number;
}

/** What is known of the launches so far. */
export interface LaunchHistory {
  /** How many there were. What belongs to a launch carries its number, so that what comes late is known as late. */
  readonly launch: number;
  /** When they ended, as far as that counts: at most `maxRestarts` + 1, oldest first. */
  readonly endsMs: readonly number[];
  readonly previousDelayMs: number;
}

/** Where the supervision of a plugin stands. The machine does not look into `Process`. */
export type SupervisionState<Process> =
  | { readonly kind: "starting"; readonly history: LaunchHistory }
  | Running<Process>
  | {
      readonly kind: "blocked" | "unresponsive" | "restarting";
      readonly history: LaunchHistory;
      readonly process: Process;
      readonly sinceMs: number;
    }
  | { readonly kind: "waiting"; readonly history: LaunchHistory; readonly delayMs: number }
  | { readonly kind: "crash-looping"; readonly history: LaunchHistory }
  | {
      readonly kind: "failed";
      readonly history: LaunchHistory;
      /** One that could not be killed. */
      readonly process: Process | undefined;
    }
  | { readonly kind: "stopping"; readonly history: LaunchHistory; readonly process: Process | undefined }
  | { readonly kind: "stopped"; readonly history: LaunchHistory };

interface Running<Process> {
  readonly kind: "running";
  readonly history: LaunchHistory;
  readonly process: Process;
  readonly sinceMs: number;
  /** Probes missed in a row. */
  readonly misses: number;
  /** Whether each of them met silence, rather than a connection that failed. */
  readonly silent: boolean;
}

export type SupervisionStateName = SupervisionState<unknown>["kind"];

/** `random`: at least 0 and less than 1. `nowMs`: monotonic. */
export type SupervisionInput<Process> =
  | { readonly type: "started"; readonly launch: number; readonly process: Process; readonly nowMs: number }
  | {
      readonly type: "launch-failed";
      readonly launch: number;
      /** Whether another try may do better. */
      readonly mendable: boolean;
      readonly nowMs: number;
      readonly random: number;
    }
  | { readonly type: "exited"; readonly launch: number; readonly nowMs: number; readonly random: number }
  | { readonly type: "answered"; readonly launch: number }
  | { readonly type: "missed"; readonly launch: number; readonly silent: boolean }
  | { readonly type: "unkillable"; readonly launch: number }
  | { readonly type: "delay-over"; readonly launch: number }
  | { readonly type: "restart" }
  | { readonly type: "reset" }
  | { readonly type: "stop" }
  | { readonly type: "stopped" };

/** Before the first launch has come to anything. */
export function initialState(rules: SupervisionRules): SupervisionState<never> {
  return { kind: "starting", history: { launch: 1, endsMs: [], previousDelayMs: rules.backoff.initialMs } };
}

/**
 * State after one input; the same object when the input changes nothing. Pure.
 *
 * | state | input | next | what is done there |
 * |---|---|---|---|
 * | starting | started | running | launches, shakes hands |
 * | starting | launch-failed, mendable | waiting, or crash-looping | |
 * | starting | launch-failed, not mendable | failed | |
 * | running | answered | running, no miss | probes |
 * | running | missed, fewer than `failures` in a row | running, one miss more | |
 * | running | missed, the last of `failures`, all silent | blocked | |
 * | running | missed, the last of `failures`, not all silent | unresponsive | |
 * | running | restart | restarting | |
 * | running, blocked, unresponsive | exited | waiting, or crash-looping | blocked, unresponsive: kills |
 * | restarting | exited | starting | asks the process to end, its calls to finish |
 * | blocked, unresponsive, restarting | unkillable | failed | |
 * | waiting | delay-over | starting | waits for a delay that grows with the ends that count |
 * | waiting, crash-looping, failed | restart | starting | nothing, but when waiting |
 * | waiting, crash-looping, failed | reset | starting, no end counts | |
 * | any but stopping, stopped | stop | stopping | |
 * | stopping | stopped | stopped | ends what there is |
 *
 * Each exit and each failed launch is an end, but for exits that were asked for. An end counts for `windowMs`, or until a
 * run has lasted `stableMs`. More than `maxRestarts` ends that count make waiting crash-looping.
 *
 * Everything else changes nothing, and neither does what belongs to an earlier launch.
 */
export function transition<Process>(
  state: SupervisionState<Process>,
  input: SupervisionInput<Process>,
  rules: SupervisionRules,
): SupervisionState<Process> {
  const { history } = state;
  if ("launch" in input && input.launch !== history.launch) return state;
  if (state.kind === "stopped") return state;
  if (state.kind === "stopping") return input.type === "stopped" ? { kind: "stopped", history } : state;
  if (input.type === "stop") {
    return { kind: "stopping", history, process: "process" in state ? state.process : undefined };
  }
  switch (state.kind) {
    case "starting":
      if (input.type === "started") {
        const { process, nowMs } = input;
        return { kind: "running", history, process, sinceMs: nowMs, misses: 0, silent: true };
      }
      if (input.type !== "launch-failed") return state;
      return input.mendable ? ended(history, input, rules) : { kind: "failed", history, process: undefined };
    case "running":
      if (input.type === "exited") return ended(afterRun(history, state.sinceMs, input.nowMs, rules), input, rules);
      if (input.type === "restart") return ending("restarting", state);
      if (input.type === "answered") return state.misses === 0 ? state : { ...state, misses: 0, silent: true };
      return input.type === "missed" ? missed(state, input.silent, rules) : state;
    case "blocked":
    case "unresponsive":
      if (input.type === "exited") return ended(afterRun(history, state.sinceMs, input.nowMs, rules), input, rules);
      return input.type === "unkillable" ? { kind: "failed", history, process: state.process } : state;
    case "restarting":
      if (input.type === "exited") return starting(afterRun(history, state.sinceMs, input.nowMs, rules));
      return input.type === "unkillable" ? { kind: "failed", history, process: state.process } : state;
    case "waiting":
    case "crash-looping":
    case "failed":
      if (input.type === "restart") return starting(history);
      if (input.type === "reset") {
        return starting({ ...history, endsMs: [], previousDelayMs: rules.backoff.initialMs });
      }
      return input.type === "delay-over" && state.kind === "waiting" ? starting(history) : state;
  }
}

/** The process that calls go to; undefined while there is none. */
export function presentProcess<Process>(state: SupervisionState<Process>): Process | undefined {
  return state.kind === "running" ? state.process : undefined;
}

/** Whether a process will be there without anybody's doing, so that calls may wait for it. */
export function comesBack(kind: SupervisionStateName): boolean {
  return kind !== "crash-looping" && kind !== "failed" && kind !== "stopping" && kind !== "stopped";
}

function starting(history: LaunchHistory): SupervisionState<never> {
  return { kind: "starting", history: { ...history, launch: history.launch + 1 } };
}

function ending<Process>(
  kind: "blocked" | "unresponsive" | "restarting",
  { history, process, sinceMs }: Running<Process>,
): SupervisionState<Process> {
  return { kind, history, process, sinceMs };
}

function missed<Process>(
  state: Running<Process>,
  silent: boolean,
  { failures }: SupervisionRules,
): SupervisionState<Process> {
  const now = { ...state, misses: state.misses + 1, silent: state.silent && silent };
  return now.misses < failures ? now : ending(now.silent ? "blocked" : "unresponsive", state);
}

function afterRun(history: LaunchHistory, sinceMs: number, nowMs: number, rules: SupervisionRules): LaunchHistory {
  if (nowMs - sinceMs < rules.stableMs) return history;
  return { ...history, endsMs: [], previousDelayMs: rules.backoff.initialMs };
}

function ended(
  history: LaunchHistory,
  { nowMs, random }: { readonly nowMs: number; readonly random: number },
  { backoff, maxRestarts, windowMs }: SupervisionRules,
): SupervisionState<never> {
  const earlier = history.endsMs.filter((endMs) => nowMs - endMs < windowMs);
  const endsMs = [...earlier, nowMs];
  if (endsMs.length > maxRestarts) return { kind: "crash-looping", history: { ...history, endsMs } };
  const previousMs = earlier.length === 0 ? backoff.initialMs : history.previousDelayMs;
  const delayMs = backoffDelay(backoff, { attempt: earlier.length, previousMs, random });
  return { kind: "waiting", history: { ...history, endsMs, previousDelayMs: delayMs }, delayMs };
}
