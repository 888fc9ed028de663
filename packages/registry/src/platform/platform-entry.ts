import type { ReplaceStage } from "./platform-error.ts";
import type { PlatformPlugin } from "./platform-plugin.ts";
import type { PluginRun } from "./plugin-run.ts";
import type { PluginOperation } from "./plugin-snapshot.ts";

/** One plugin of a platform. */
export interface PlatformEntry {
  readonly id: string;
  plugin: PlatformPlugin;
  /** The program that it is at present. */
  run: PluginRun;
  /** What is being done to it on somebody's word. */
  operation: PluginOperation | undefined;
  /** The other program, during a replacement. */
  replacing: { stage: ReplaceStage; readonly other: PluginRun } | undefined;
}
