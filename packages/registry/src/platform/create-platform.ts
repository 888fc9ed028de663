import { Code, ConnectError } from "@connectrpc/connect";
import { type HostExtension, serve } from "@cpg/core";
import { callListener, onShutdownSignal } from "@cpg/core/extension";
import { systemClock } from "@cpg/resilience";
import { createRegistry } from "../create-registry.ts";
import { addPlugins, checkPlugins } from "./add-plugins.ts";
import { adminExtension } from "./admin/admin-extension.ts";
import type { BootReport } from "./boot-report.ts";
import { createPlatformParts } from "./create-platform-parts.ts";
import { tellReadiness } from "./host-readiness.ts";
import type { Platform } from "./platform.ts";
import type { PlatformEntry } from "./platform-entry.ts";
import type { PlatformEvent } from "./platform-event.ts";
import { platformGraph } from "./platform-graph.ts";
import type { PlatformOptions } from "./platform-options.ts";
import type { PlatformNews, PlatformParts } from "./platform-parts.ts";
import { kindOf } from "./platform-plugin.ts";
import type { PluginSnapshot } from "./plugin-snapshot.ts";
import { checkMs, impactOf, removePlugin } from "./remove-plugin.ts";
import { replacePlugin } from "./replace-plugin.ts";
import { newestStates } from "./state-view/newest-states.ts";
import { platformState } from "./state-view/platform-state.ts";
import { type StopRequest, settled, stopPlugins } from "./stop-plugins.ts";

const defaultGraceMs = 30_000;
/** How long plugins may take when the host was closed without the platform: less than a server waits for a shutdown step. */
const shutdownStepGraceMs = 20_000;

/**
 * Serves a host with a registry and a router, and starts the plugins that it looks after. Resolves when each of them runs
 * or has failed: `bootReport` tells. SIGTERM and SIGINT close the platform, unless `host.handleSignals` is false.
 * @throws {TypeError} {RangeError} {ConnectError} for bad options, naming the option; as `serve`.
 * @example
 * await using platform = await createPlatform({
 *   plugins: [{ id: "logger", strategy: nodeStrategy({ entry: "./logger.js" }), plugins: { logger } }],
 * });
 */
export async function createPlatform(options: PlatformOptions = {}): Promise<Platform> {
  const { plugins = [], startConcurrency = 8, maxPlugins = 1_000, clock = systemClock, random } = options;
  checkCount("startConcurrency", startConcurrency);
  checkCount("maxPlugins", maxPlugins);
  checkPlugins(plugins);
  const { handleSignals = true, ...hostOptions } = options.host ?? {};
  const { graceMs: closeGraceMs = defaultGraceMs } = hostOptions;
  const registry = createRegistry({ ...options.registry, random: options.registry?.random ?? random });
  const listeners = new Set<(event: PlatformEvent) => void>();
  const pending = new Set<Promise<unknown>>();
  const closing = new AbortController();
  /** Nothing is left to the next host from then on. */
  const ending = new AbortController();
  const beginClosing = () => closing.abort(new ConnectError("the platform is closing", Code.Unavailable));

  let parts: PlatformParts | undefined;
  let stopping: Promise<unknown[]> | undefined;
  const stopAll = (request: StopRequest): Promise<unknown[]> => {
    beginClosing();
    if (!request.leave) ending.abort("the platform stops its plugins");
    stopping ??= parts === undefined ? Promise.resolve([]) : stopThem(parts, request);
    return stopping;
  };
  const stopThem = async (present: PlatformParts, request: StopRequest): Promise<unknown[]> => {
    const errors = await stopPlugins(present, request);
    await settled(pending, present).catch((error: unknown) => errors.push(error));
    return errors;
  };
  const own: HostExtension = {
    name: "platform",
    install: () => ({
      async shutdown() {
        const errors = await stopAll({ graceMs: shutdownStepGraceMs, leave: false });
        if (errors.length > 0) throw new AggregateError(errors, "plugins could not be ended");
      },
    }),
  };
  let served: Platform | undefined;
  const admin =
    options.admin === undefined
      ? []
      : [
          adminExtension(options.admin, {
            platform() {
              if (served === undefined) throw new ConnectError("the platform is starting", Code.Unavailable);
              return served;
            },
            onError: (error) =>
              callListener(
                () => hostOptions.onError?.(error),
                () => {},
              ),
          }),
        ];
  const host = await serve({
    ...hostOptions,
    plugins: {},
    impls: {},
    clock,
    handleSignals: false,
    extensions: [registry, ...(options.extensions ?? []), ...admin, own],
  });
  host.draining.addEventListener("abort", beginClosing, { once: true });

  const emit = (news: PlatformNews): void => {
    const event = { ...news, timeMs: clock.now() } as PlatformEvent;
    if (!closing.signal.aborted && parts !== undefined) tellReadiness(host.health, parts.entries.values());
    for (const listener of [options.onEvent, ...listeners]) {
      callListener(
        () => listener?.(event),
        () => {},
      );
    }
  };
  const track = (work: Promise<unknown>): void => {
    pending.add(work);
    const forget = () => void pending.delete(work);
    work.then(forget, forget);
  };
  const present = createPlatformParts({
    host,
    registry,
    clock,
    random,
    closing: closing.signal,
    stopping: ending.signal,
    emit,
    track,
  });
  parts = present;
  const { entries } = present;
  registry.expect((type) => [...entries.values()].some(({ run }) => run.provides(type)));

  let closed: Promise<void> | undefined;
  const close = async ({ graceMs, leave }: StopRequest): Promise<void> => {
    const endsMs = clock.monotonic() + graceMs;
    forgetSignal();
    host.health.drain();
    try {
      await stopAll({ graceMs, leave });
    } finally {
      await host.close({ graceMs: Math.max(0, endsMs - clock.monotonic()) });
    }
  };
  const closeOnce = (request: StopRequest): Promise<void> => {
    closed ??= close(request);
    return closed;
  };
  const onSignal = () =>
    closeOnce({ graceMs: closeGraceMs, leave: false }).catch((error: unknown) => hostOptions.onError?.(error));
  const forgetSignal = handleSignals ? onShutdownSignal(onSignal) : () => {};
  void host.closed.then(forgetSignal);

  let bootReport: BootReport = [];
  const platform: Platform = {
    host,
    registry,
    get bootReport() {
      return bootReport;
    },
    plugins: () => [...entries.values()].map((entry) => snapshotOf(entry)),
    state: () =>
      platformState({
        timeMs: clock.now(),
        plugins: platform.plugins(),
        graph: platformGraph(entries.values(), registry),
        registry,
      }),
    watch({ signal } = {}) {
      const ended = signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]);
      const follow = (listener: () => void) => {
        const forget = [platform.onEvent(listener), registry.onChange(listener)];
        return () => {
          for (const stop of forget) stop();
        };
      };
      return newestStates({ read: () => platform.state(), follow, signal: ended });
    },
    onEvent(listener) {
      const heard = (event: PlatformEvent) => listener(event);
      listeners.add(heard);
      return () => void listeners.delete(heard);
    },
    async add(given, { signal } = {}) {
      const added = Array.isArray(given) ? given : [given];
      return await addPlugins(present, { plugins: added, startConcurrency, maxPlugins, signal });
    },
    impact: (id) => impactOf(present, id),
    remove: (id, how = {}) => removePlugin(present, id, how),
    replace: (id, next, how = {}) => replacePlugin(present, id, next, how),
    async restart(id, { graceMs = defaultGraceMs } = {}) {
      checkMs("graceMs", graceMs);
      const entry = present.entryOf(id);
      await present.operate(entry, "restart", () => entry.run.restart(graceMs, closing.signal));
    },
    closed: host.closed,
    async close({ graceMs = closeGraceMs, leave = false } = {}) {
      checkMs("graceMs", graceMs);
      if (typeof leave !== "boolean") throw new TypeError("leave must be a boolean");
      await closeOnce({ graceMs, leave });
    },
    [Symbol.asyncDispose]: () => platform.close(),
  };
  served = platform;
  try {
    bootReport = await platform.add(plugins);
  } catch (reason) {
    await platform.close({ graceMs: 0 });
    throw reason;
  }
  return platform;
}

function snapshotOf({ id, plugin, run, operation, replacing }: PlatformEntry): PluginSnapshot {
  return {
    ...run.snapshot(),
    id,
    kind: kindOf(plugin),
    optional: plugin.optional ?? false,
    operation,
    replacing: replacing && { stage: replacing.stage, other: replacing.other.snapshot() },
  };
}

function checkCount(option: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RangeError(`${option} must be a whole number from 1, got ${value}`);
  }
}
