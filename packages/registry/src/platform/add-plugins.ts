import { Code, ConnectError } from "@connectrpc/connect";
import { createProbeTurns } from "../health/probe-turns.ts";
import type { BootReport, PluginBoot } from "./boot-report.ts";
import { checkPlatformPlugin } from "./check-platform-plugin.ts";
import { planStart, type StartPlan } from "./plan-start.ts";
import type { PlatformEntry } from "./platform-entry.ts";
import { PlatformError } from "./platform-error.ts";
import { presentProviders } from "./platform-graph.ts";
import type { PlatformParts } from "./platform-parts.ts";
import { expectedOf, type PlatformPlugin } from "./platform-plugin.ts";

export interface AddRequest {
  readonly plugins: readonly PlatformPlugin[];
  readonly startConcurrency: number;
  readonly maxPlugins: number;
  readonly signal: AbortSignal | undefined;
}

/** @throws {TypeError} {RangeError} {ConnectError} for a bad specification, naming the field. */
export function checkPlugins(plugins: readonly PlatformPlugin[]): void {
  const ids = new Set<string>();
  for (const [index, plugin] of plugins.entries()) {
    checkPlatformPlugin(`plugins[${index}]`, plugin);
    if (ids.has(plugin.id)) {
      throw new ConnectError(`plugins[${index}].id: two plugins have the id ${plugin.id}`, Code.InvalidArgument);
    }
    ids.add(plugin.id);
  }
}

/** As `Platform.add`, which see. */
export async function addPlugins(parts: PlatformParts, request: AddRequest): Promise<BootReport> {
  const { entries, clock, closing } = parts;
  const { plugins, startConcurrency, maxPlugins } = request;
  checkPlugins(plugins);
  closing.throwIfAborted();
  for (const [index, { id }] of plugins.entries()) {
    if (!entries.has(id)) continue;
    throw new ConnectError(`plugins[${index}].id: there is a plugin ${id} already`, Code.AlreadyExists);
  }
  if (entries.size + plugins.length > maxPlugins) {
    throw new ConnectError(`a platform has at most ${maxPlugins} plugins`, Code.ResourceExhausted);
  }

  const beganMs = clock.monotonic();
  const expected = plugins.map((plugin) => ({ id: plugin.id, ...expectedOf(plugin) }));
  const plan = planStart(expected, presentProviders(parts.registry, entries.values(), expected));
  const added = new Map(plugins.map((plugin) => [plugin.id, enter(parts, plugin, plan)]));
  const signal = request.signal === undefined ? closing : AbortSignal.any([closing, request.signal]);
  const turns = createProbeTurns(startConcurrency);
  const boots = new Map<string, Promise<PluginBoot>>();

  const boot = async (entry: PlatformEntry): Promise<PluginBoot> => {
    await Promise.all((plan.after.get(entry.id) ?? []).map((id) => boots.get(id)));
    const endTurn = await turns.take(signal).catch(() => () => {}); // given up: the start says so
    const launchedMs = clock.monotonic();
    let error: ConnectError | undefined;
    try {
      await entry.run.start(signal);
    } catch (reason) {
      error = ConnectError.from(reason);
    } finally {
      endTurn();
    }
    const nowMs = clock.monotonic();
    const { cause } = error ?? {};
    const { id, plugin, run } = entry;
    return {
      id,
      optional: plugin.optional ?? false,
      state: run.state.kind,
      stage: run.reached,
      durationMs: nowMs - beganMs,
      startMs: nowMs - launchedMs,
      error,
      stderrTail: cause instanceof PlatformError ? cause.stderrTail : [],
    };
  };

  for (const id of [...plan.order, ...plan.problems.keys()]) {
    const entry = added.get(id);
    if (entry !== undefined)
      boots.set(
        id,
        parts.operate(entry, "add", () => boot(entry)),
      );
  }
  return await Promise.all(plugins.map(({ id }) => boots.get(id) as Promise<PluginBoot>));
}

function enter({ entries, createRun, emit }: PlatformParts, plugin: PlatformPlugin, plan: StartPlan): PlatformEntry {
  const { id } = plugin;
  const run = createRun(plugin, { standby: false, problem: plan.problems.get(id) });
  const entry: PlatformEntry = { id, plugin, run, operation: undefined, replacing: undefined };
  entries.set(id, entry);
  emit({ plugin: id, type: "added" });
  return entry;
}
