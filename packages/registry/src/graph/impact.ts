import type { Edges } from "./edges.ts";
import type { GraphPlugin } from "./graph-plugin.ts";

/** What the removal of a plugin does to the others. */
export interface Impact {
  readonly plugin: string;
  /** Types that nobody provides any more, in any version. */
  readonly servicesLost: readonly string[];
  /** Plugins that lose a service which they cannot do without. */
  readonly brokenDirectly: readonly string[];
  /** Plugins that lose one because a broken plugin provided it. */
  readonly brokenTransitively: readonly string[];
  /** Plugins that go on, and lose a service which they can do without. */
  readonly degraded: readonly string[];
  /** Plugins that go on, and use another provider of a service that is going. */
  readonly rerouted: readonly string[];
}

/** O(plugins + edges). Plugins in the order in which they were given. */
export function findImpact(plugins: readonly GraphPlugin[], { needs }: Edges, removed: number): Impact {
  const needsOf = new Map<number, number[]>();
  for (const [index, { providers }] of needs.entries()) {
    for (const provider of providers) {
      const known = needsOf.get(provider);
      if (known === undefined) needsOf.set(provider, [index]);
      else known.push(index);
    }
  }
  const left = needs.map(({ providers }) => providers.length);
  const gone = new Set([removed]);
  const direct = new Set<number>();
  const degraded = new Set<number>();
  const touched = new Set<number>();
  const queue = [removed];
  for (let plugin = queue.shift(); plugin !== undefined; plugin = queue.shift()) {
    for (const index of needsOf.get(plugin) ?? []) {
      const need = needs[index];
      if (need === undefined) continue;
      const { consumer, required } = need;
      const remaining = (left[index] ?? 0) - 1;
      left[index] = remaining;
      touched.add(consumer);
      if (remaining > 0 || gone.has(consumer)) continue;
      if (!required) {
        degraded.add(consumer);
        continue;
      }
      gone.add(consumer);
      if (plugin === removed) direct.add(consumer);
      queue.push(consumer);
    }
  }

  const idsOf = (matches: (plugin: number) => boolean): string[] =>
    plugins.flatMap(({ id }, plugin) => (plugin !== removed && matches(plugin) ? [id] : []));
  const stillProvided = new Set(
    plugins.flatMap(({ provides = [] }, plugin) => (plugin === removed ? [] : provides.map(({ type }) => type))),
  );
  const own = (plugins[removed]?.provides ?? []).map(({ type }) => type);
  return {
    plugin: plugins[removed]?.id ?? "",
    servicesLost: [...new Set(own)].filter((type) => !stillProvided.has(type)),
    brokenDirectly: idsOf((plugin) => direct.has(plugin)),
    brokenTransitively: idsOf((plugin) => gone.has(plugin) && !direct.has(plugin)),
    degraded: idsOf((plugin) => degraded.has(plugin) && !gone.has(plugin)),
    rerouted: idsOf((plugin) => touched.has(plugin) && !gone.has(plugin) && !degraded.has(plugin)),
  };
}
