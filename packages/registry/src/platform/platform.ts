import type { PluginServer } from "@cpg/core";
import type { Registry } from "../create-registry.ts";
import type { BootReport } from "./boot-report.ts";
import type { PlatformEvent } from "./platform-event.ts";
import type { PlatformPlugin } from "./platform-plugin.ts";
import type { PluginImpact } from "./plugin-impact.ts";
import type { PluginSnapshot } from "./plugin-snapshot.ts";
import type { PlatformState } from "./state-view/platform-state.ts";

export interface AddOptions {
  /** Gives up: plugins that have not started fail with its reason. Has no effect on those that run. */
  readonly signal?: AbortSignal | undefined;
}

export interface RemoveOptions {
  /** Also when others break by it. Default false. */
  readonly force?: boolean | undefined;
  /** How long its calls may take to finish before they are cut, in ms. From 0. Default 30 000. */
  readonly graceMs?: number | undefined;
  /** For the plugin's log. */
  readonly reason?: string | undefined;
}

export interface ReplaceOptions {
  /** How long the old one may take to finish the calls that it has, streams among them, before they are cut, in ms. From 0. Default 30 000. */
  readonly streamGraceMs?: number | undefined;
  /** How long the old one may take to end by itself once it has no routed calls, in ms. From 0. Default 30 000. */
  readonly drainMs?: number | undefined;
  /** Also when the next one provides an older version, or lacks a type that no plugin needs. Default false. */
  readonly allowDowngrade?: boolean | undefined;
  /** Gives up, as long as calls have not been switched. */
  readonly signal?: AbortSignal | undefined;
}

export interface ReplaceReport {
  readonly plugin: string;
  /** Runtime ids. The old one's is undefined if it did not run. */
  readonly from: string | undefined;
  readonly to: string;
  /** From the launch of the next one until it was ready to take over. */
  readonly startMs: number;
  /** The time in which calls went from one to the other. */
  readonly switchMs: number;
  /** Until the old one had no call any more. */
  readonly drainMs: number;
  /** Until nothing of the old one was left. */
  readonly stopMs: number;
  /** Calls of the old one that were ended, as their time was over. */
  readonly callsCut: number;
  /** What went wrong with the end of the old one, if anything did. The next one serves all the same. */
  readonly error: Error | undefined;
}

export interface RestartPluginOptions {
  /** How long its calls may take to finish before they are cut, in ms. From 0. Default 30 000. */
  readonly graceMs?: number | undefined;
}

export interface WatchStateOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface ClosePlatformOptions {
  /**
   * How long calls may take to finish, and plugins to end by themselves, over all plugins, in ms. From 0. Default: `graceMs`
   * of the host, or else 30 000.
   */
  readonly graceMs?: number | undefined;
  /**
   * Leaves plugins whose strategy has `reattach` running for the next run of this host, which has to come within their time.
   * Default false: all are stopped.
   */
  readonly leave?: boolean | undefined;
}

/**
 * A host, its registry, and the plugins that it looks after. One thing is done to a plugin at a time: while it is, further
 * operations on it are refused with `aborted`.
 */
export interface PlatformCore {
  readonly host: PluginServer;
  readonly registry: Registry;
  /** What became of the plugins that the platform began with. */
  readonly bootReport: BootReport;
  /** The plugins there are, in the order in which they were added. */
  plugins(): readonly PluginSnapshot[];
  /** Everything that there is to see: its plugins, those that came by themselves, services, graph, calls in flight. */
  state(): PlatformState;
  /**
   * The present state first, then the newest one after each change, or the newest of several for a slow reader. Calls that come
   * and go are no change by themselves. Ends when its reader leaves, with `unavailable` when the platform closes, and with
   * the reason of `signal`.
   */
  watch(options?: WatchStateOptions): AsyncIterable<PlatformState>;
  /** Hears of what happens, after `onEvent`. What it throws is dropped. Returns how to stop. */
  onEvent(listener: (event: PlatformEvent) => void): () => void;
  /**
   * Starts plugins, each after those that provide what it needs, as many at a time as that and `startConcurrency` allow.
   * One that fails stays, in state "failed", until it is removed or restarted; those that need it fail with it.
   * @throws {TypeError} {RangeError} {ConnectError} for a bad specification, naming the field; `already_exists` for an id
   * that is there, `resource_exhausted` for too many plugins, `unavailable` once the platform closes. Nothing has changed then.
   */
  add(plugins: PlatformPlugin | readonly PlatformPlugin[], options?: AddOptions): Promise<BootReport>;
  /**
   * What the removal of a plugin would do to others.
   * @param id of a plugin of the platform, or the runtime id of one that came by itself.
   * @throws {ConnectError} `not_found`.
   */
  impact(id: string): PluginImpact;
  /**
   * Takes a plugin out: it gets no new calls, finishes those it has, is stopped, and loses its identity with all that
   * hangs on it. One that came by itself, named by its runtime id, is not stopped.
   * @throws {ConnectError} `not_found`; `failed_precondition`, naming them, when others break by it and `force` is not
   * set; `aborted` when something else is done to it; `deadline_exceeded` when something of it does not end. {RangeError}
   */
  remove(id: string, options?: RemoveOptions): Promise<void>;
  /**
   * Puts another in the place of a plugin: once the next one is healthy, calls go to it at once, also those that name the old
   * one. `next` has the same id.
   * @throws {ConnectError} whose cause is a `PlatformError` that tells the stage; the old one is untouched then. `not_found`,
   * `aborted` as for `remove`. {TypeError} {RangeError} for bad options.
   */
  replace(id: string, next: PlatformPlugin, options?: ReplaceOptions): Promise<ReplaceReport>;
  /**
   * Ends a plugin once its calls are finished, and starts it again; also one that failed or is crash-looping.
   * @throws {ConnectError} why it did not start; `not_found`, `aborted` as for `remove`. {RangeError}
   */
  restart(id: string, options?: RestartPluginOptions): Promise<void>;
  /** Resolves when the platform has closed, whoever closed it. Never rejects. */
  readonly closed: Promise<void>;
  /**
   * Gives up what is under way, stops all plugins, each before those that it needs, and then the host. Idempotent: later
   * calls share the first one's result.
   * @throws {TypeError} {RangeError} for bad options. {AggregateError} of what could not be ended.
   */
  close(options?: ClosePlatformOptions): Promise<void>;
}

export interface Platform extends PlatformCore, AsyncDisposable {}
