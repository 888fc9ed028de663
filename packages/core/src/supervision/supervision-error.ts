import { Code, ConnectError } from "@connectrpc/connect";
import type { ExitReport } from "../launch/launch-strategy.ts";
import type { SupervisionStateName } from "./supervision-state.ts";

/** Why a supervised plugin takes no calls. Cause of the `unavailable` that says so. */
export class SupervisionError extends Error {
  override readonly name = "SupervisionError";
  readonly plugin: string;
  readonly state: SupervisionStateName;
  /** The last lines that its last process wrote to stderr, oldest first. */
  readonly stderrTail: readonly string[];
  /** How its last process ended, if it had one and it ended. */
  readonly exit: ExitReport | undefined;

  constructor(message: string, { plugin, state, lastEnd }: PluginDown) {
    super(message, lastEnd === undefined ? undefined : { cause: lastEnd.error });
    this.plugin = plugin;
    this.state = state;
    this.stderrTail = lastEnd?.stderrTail ?? [];
    this.exit = lastEnd?.exit;
  }
}

/** How a launch, or the process it led to, ended. */
export interface PluginEnd {
  /** What ended it: itself, not answering, not coming up, or somebody's word. */
  readonly cause: "exited" | "blocked" | "unresponsive" | "launch-failed" | "restart" | "stop";
  /** Wall clock ms. */
  readonly timeMs: number;
  readonly exit: ExitReport | undefined;
  /** The last lines it wrote to stderr, oldest first. */
  readonly stderrTail: readonly string[];
  /** Tells all of this in words. */
  readonly error: ConnectError;
}

export interface PluginDown {
  readonly plugin: string;
  readonly state: SupervisionStateName;
  readonly lastEnd: PluginEnd | undefined;
  /** What else there is to say about this call. */
  readonly detail?: string | undefined;
}

const phrases: Record<SupervisionStateName, string> = {
  starting: "is starting",
  running: "is running",
  blocked: "is being killed, since its event loop is blocked",
  unresponsive: "is being killed, since nothing can connect to it",
  restarting: "is being restarted",
  waiting: "waits for its restart",
  "crash-looping": "ended too often and is not restarted until reset",
  failed: "cannot run and is not restarted until reset",
  stopping: "is being stopped",
  stopped: "is stopped",
};

/** `unavailable`: the plugin takes no calls in this state. Tells how it ended last. */
export function pluginDown(down: PluginDown): ConnectError {
  const { plugin, state, lastEnd, detail } = down;
  const parts = [`plugin ${plugin} ${phrases[state]}`, detail, lastEnd?.error.rawMessage];
  const message = parts.filter((part) => part !== undefined).join("; ");
  return new ConnectError(message, Code.Unavailable, undefined, undefined, new SupervisionError(message, down));
}
