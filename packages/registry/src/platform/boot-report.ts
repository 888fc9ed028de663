import type { ConnectError } from "@connectrpc/connect";
import type { PluginStateName, StartStage } from "./plugin-state.ts";

/** How the start of each plugin went, in the order in which they were given. */
export type BootReport = readonly PluginBoot[];

export interface PluginBoot {
  readonly id: string;
  readonly optional: boolean;
  /** "running" if it went well. */
  readonly state: PluginStateName;
  /** The stage that it reached; of one that runs "route". */
  readonly stage: StartStage;
  /** From the begin of `add`, what it waited for included. */
  readonly durationMs: number;
  /** From its own launch on. */
  readonly startMs: number;
  /** Cause: PlatformError. */
  readonly error: ConnectError | undefined;
  /** The last lines that it wrote to stderr, oldest first. */
  readonly stderrTail: readonly string[];
}
