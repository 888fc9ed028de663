import type { PluginServer } from "@cpg/core";
import type { Clock } from "@cpg/resilience";
import type { Registry } from "../create-registry.ts";
import type { PlatformEntry } from "./platform-entry.ts";
import type { PlatformEvent } from "./platform-event.ts";
import type { PlatformGraphPlugin } from "./platform-graph.ts";
import type { PlatformPlugin } from "./platform-plugin.ts";
import type { PluginRun } from "./plugin-run.ts";
import type { PluginOperation } from "./plugin-snapshot.ts";

/** An event without the time at which it is told. */
export type PlatformNews = PlatformEvent extends infer Event
  ? Event extends unknown
    ? Omit<Event, "timeMs">
    : never
  : never;

/** What the operations of a platform share. */
export interface PlatformParts {
  readonly host: PluginServer;
  readonly registry: Registry;
  readonly clock: Clock;
  /** By id, in the order in which they were added. */
  readonly entries: Map<string, PlatformEntry>;
  /** Aborts when the platform begins to close. */
  readonly closing: AbortSignal;
  emit(news: PlatformNews): void;
  /** @param problem why it cannot be started at all, once that is known. */
  createRun(
    plugin: PlatformPlugin,
    options: { readonly standby: boolean; readonly problem?: string | undefined },
  ): PluginRun;
  graph(): readonly PlatformGraphPlugin[];
  /** @throws {ConnectError} `not_found`. */
  entryOf(id: string): PlatformEntry;
  /** @throws {ConnectError} `aborted` when something is being done to the plugin, `unavailable` when the platform closes. */
  checkFree(entry: PlatformEntry, operation: PluginOperation): void;
  /** Does something to a plugin, and nothing else to it meanwhile. @throws as `checkFree`, and what `work` throws. */
  operate<T>(entry: PlatformEntry, operation: PluginOperation, work: () => Promise<T>): Promise<T>;
}
