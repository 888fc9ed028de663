import { createDependencyGraph } from "../graph/dependency-graph.ts";
import type { PlatformGraphPlugin } from "./platform-graph.ts";
import type { PluginEffect, PluginImpact } from "./plugin-impact.ts";

/** What the removal of one of these does to the others. @throws {TypeError} for an id that none has. */
export function findPluginImpact(plugins: readonly PlatformGraphPlugin[], id: string): PluginImpact {
  const impact = createDependencyGraph(plugins).impact(id);
  const byId = new Map(plugins.map((plugin) => [plugin.id, plugin]));
  const typesOf = (...ids: readonly string[]) =>
    new Set(ids.flatMap((one) => (byId.get(one)?.provides ?? []).map(({ type }) => type)));
  const own = typesOf(id);
  const going = typesOf(id, ...impact.brokenDirectly, ...impact.brokenTransitively);
  const effect = (plugin: string): PluginEffect => {
    const { selfId, requires = [] } = byId.get(plugin) ?? { selfId: undefined };
    const needed = [...new Set(requires.map(({ type }) => type))];
    return {
      plugin,
      selfId,
      types: needed.filter((type) => going.has(type)),
      direct: needed.some((type) => own.has(type)) && !impact.brokenTransitively.includes(plugin),
    };
  };
  return {
    plugin: id,
    servicesLost: impact.servicesLost,
    breaks: [...impact.brokenDirectly, ...impact.brokenTransitively].map(effect),
    degrades: impact.degraded.map(effect),
    reroutes: impact.rerouted.map(effect),
  };
}

/** One sentence about who breaks. */
export function describeBreaks({ plugin, breaks }: PluginImpact): string {
  const who = breaks.map(({ plugin: id, types }) => `${id} (needs ${types.join(", ")})`).join(", ");
  return `without plugin ${plugin} these break: ${who}; remove them first, or use force`;
}
