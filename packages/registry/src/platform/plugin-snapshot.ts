import type { ConnectError } from "@connectrpc/connect";
import type { ExitReport, ServiceDeclaration, ServiceDependency } from "@cpg/core";
import type { ReplaceStage } from "./platform-error.ts";
import type { PlatformPluginKind } from "./platform-plugin.ts";
import type { PluginStateName, StartStage } from "./plugin-state.ts";

/** What is being done to a plugin on somebody's word. One thing at a time. */
export type PluginOperation = "add" | "remove" | "replace" | "restart";

/** One program that a plugin is, or will be: the one that serves, its successor before the switch, its predecessor after it. */
export interface RunSnapshot {
  readonly state: PluginStateName;
  /** While it starts, and once it failed to: where. */
  readonly stage: StartStage | undefined;
  /** Since when it is in this state, wall clock ms. */
  readonly sinceMs: number;
  /** Its runtime identity, while it has one. */
  readonly runtimeId: string | undefined;
  /** Its own name and version, once they are known. */
  readonly selfId: string | undefined;
  readonly selfVersion: string | undefined;
  readonly endpoint: string | undefined;
  readonly pid: number | undefined;
  /** What it said that it provides and needs; before that: what is expected of it. */
  readonly provides: readonly ServiceDeclaration[];
  readonly requires: readonly ServiceDependency[];
  /** Launches so far, and ends that count towards crash-looping. */
  readonly launches: number;
  readonly ends: number;
  /** What went wrong last. */
  readonly lastError: ConnectError | undefined;
  readonly lastExit: ExitReport | undefined;
  /** The last lines that it wrote to stderr, or those of its last process that ended, oldest first. */
  readonly stderrTail: readonly string[];
}

/** A plugin of a platform at one moment. */
export interface PluginSnapshot extends RunSnapshot {
  readonly id: string;
  readonly kind: PlatformPluginKind;
  readonly optional: boolean;
  readonly operation: PluginOperation | undefined;
  /** During a replacement: where it stands, and the other of the two programs. */
  readonly replacing: { readonly stage: ReplaceStage; readonly other: RunSnapshot } | undefined;
}
