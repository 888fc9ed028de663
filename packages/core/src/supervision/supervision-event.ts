import type { ConnectError } from "@connectrpc/connect";
import type { ExitReport } from "../launch/launch-strategy.ts";
import type { PluginEnd } from "./supervision-error.ts";
import type { SupervisionState, SupervisionStateName } from "./supervision-state.ts";

/** What led to a state. */
export type SupervisionCause = PluginEnd["cause"] | "started" | "delay-over" | "reset" | "unkillable" | "stopped";

/** Something that happened to a supervised plugin. */
export type SupervisionEvent = StateChange | ProbeMissed;

/** The plugin went into another state. */
export type StateChange = StateChangeFacts & StateFacts;

interface EventFacts {
  readonly plugin: string;
  /** Wall clock ms. */
  readonly timeMs: number;
  /** Number of the launch that this is about, from 1. */
  readonly launch: number;
}

interface StateChangeFacts extends EventFacts {
  readonly type: "state";
  readonly from: SupervisionStateName;
  readonly cause: SupervisionCause;
  /** How the process ended, when its end led here. */
  readonly exit: ExitReport | undefined;
  /** The last lines that the process wrote to stderr, oldest first, when something about it led here. */
  readonly stderrTail: readonly string[];
  /** Tells in words what went wrong, when something did. */
  readonly error: ConnectError | undefined;
}

type StateFacts =
  | { readonly state: "running"; readonly endpoint: string; readonly pid: number | undefined }
  /** Waits for `delayMs` before the next launch, after `ends` ends that count. */
  | { readonly state: "waiting"; readonly delayMs: number; readonly ends: number }
  /** `ends` within `windowMs` were too many. */
  | { readonly state: "crash-looping"; readonly ends: number; readonly windowMs: number }
  | { readonly state: Exclude<SupervisionStateName, "running" | "waiting" | "crash-looping"> };

/** What a change to this state tells of it. */
export function stateFacts(
  state: SupervisionState<{ readonly plugin: { readonly endpoint: string; readonly pid: number | undefined } }>,
  windowMs: number,
): StateFacts {
  const { kind, history } = state;
  switch (kind) {
    case "running":
      return { state: kind, endpoint: state.process.plugin.endpoint, pid: state.process.plugin.pid };
    case "waiting":
      return { state: kind, delayMs: state.delayMs, ends: history.endsMs.length };
    case "crash-looping":
      return { state: kind, ends: history.endsMs.length, windowMs };
    default:
      return { state: kind };
  }
}

/** A probe got no answer; after `failures` of them in a row the process is killed. */
export interface ProbeMissed extends EventFacts {
  readonly type: "probe-missed";
  /** Misses in a row, this one included. */
  readonly misses: number;
  readonly failures: number;
  /** `deadline_exceeded`: silence. Otherwise why there was no connection. */
  readonly error: ConnectError;
}

/** Where the supervision stands at one time. */
export interface SupervisionSnapshot {
  readonly plugin: string;
  readonly state: SupervisionStateName;
  /** Launches so far. */
  readonly launches: number;
  /** Ends that count towards crash-looping, as of the last one. */
  readonly ends: number;
  /** Probes missed in a row by the present process. */
  readonly misses: number;
  /** Of the process that runs. */
  readonly endpoint: string | undefined;
  readonly pid: number | undefined;
  /** The last lines that it wrote to stderr, oldest first; those of the last one that ended if it wrote nothing. */
  readonly stderrTail: readonly string[];
  /** Calls that wait for a process. */
  readonly waitingCalls: number;
  readonly lastEnd: PluginEnd | undefined;
}
