import type { Registry } from "../create-registry.ts";
import type { GraphPlugin } from "../graph/graph-plugin.ts";
import { HOST_ID, lentByHost } from "../graph/lent-by-host.ts";
import type { PlatformEntry } from "./platform-entry.ts";
import { expectedOf } from "./platform-plugin.ts";
import { isExpected } from "./plugin-state.ts";

/** A plugin as impact and dependency checks of a platform see it. */
export interface PlatformGraphPlugin extends GraphPlugin {
  /** Its own name, if it is known. */
  readonly selfId: string | undefined;
}

/**
 * Who provides and needs what, by ids of the platform; of plugins that came by themselves by runtime id. Plugins that are
 * going, or that nobody starts again, provide and need nothing.
 */
export function platformGraph(
  entries: Iterable<PlatformEntry>,
  registry: Pick<Registry, "graph" | "providers">,
): PlatformGraphPlugin[] {
  /** Ids of the platform, and runtime ids of its plugins. */
  const own = new Set<string>();
  const plugins: PlatformGraphPlugin[] = [];
  for (const { id, run, replacing, operation } of entries) {
    own.add(id);
    for (const one of [run, replacing?.other]) if (one?.runtimeId !== undefined) own.add(one.runtimeId);
    const { selfId, provides, requires } = run.snapshot();
    const counts = isExpected(run.state) && operation !== "remove";
    plugins.push({ id, selfId, provides: counts ? provides : [], requires: counts ? requires : [] });
  }
  const providers = new Map(registry.providers().map((provider) => [provider.id, provider]));
  for (const { id, selfId, provides, requires } of registry.graph().plugins) {
    if (own.has(id) || id === HOST_ID) continue;
    const provider = providers.get(id);
    const counts = provider === undefined || isCalled(provider);
    plugins.push({ id, selfId, provides: counts ? provides : [], requires });
  }
  return [...plugins, ...lentByHost(plugins, lentBy(registry)).map((host) => ({ ...host, selfId: undefined }))];
}

/**
 * What can be called now, each by its runtime id; and what the host lends of types that none of the plugins provides.
 * @param entries those that should provide what they are said to, whether they run or not.
 * @param coming further such plugins.
 */
export function presentProviders(
  registry: Pick<Registry, "graph" | "providers">,
  entries: Iterable<PlatformEntry>,
  coming: readonly Pick<GraphPlugin, "provides">[] = [],
): GraphPlugin[] {
  const expected = [...entries].map(({ plugin }) => expectedOf(plugin));
  const present = registry
    .providers()
    .filter((provider) => isCalled(provider))
    .map(({ id, registrations }) => ({
      id,
      provides: registrations.map(({ type, version }) => ({ type, version })),
    }));
  return [...present, ...lentByHost([...expected, ...coming, ...present], lentBy(registry))];
}

function lentBy(registry: Pick<Registry, "graph">): NonNullable<GraphPlugin["provides"]> {
  return registry.graph().plugins.find(({ id }) => id === HOST_ID)?.provides ?? [];
}

function isCalled(provider: ReturnType<Registry["providers"]>[number]): boolean {
  return !provider.draining && !provider.standby && provider.health.level !== "unhealthy";
}
