import type { GraphPlugin } from "@cpg/registry";
import { seededRandom } from "@cpg/resilience/testing";

/** So many plugins, each of which needs five of those before it, handed over in no order. */
export function largeGraph(size: number): GraphPlugin[] {
  const random = seededRandom(1);
  const plugins: GraphPlugin[] = [];
  for (let index = 0; index < size; index++) {
    const requires = Array.from({ length: Math.min(5, index) }, () => ({ type: `s${Math.floor(random() * index)}` }));
    plugins.push({ id: `p${index}`, provides: [{ type: `s${index}`, version: "1.0.0" }], requires });
  }
  for (let index = size - 1; index > 0; index--) {
    const other = Math.floor(random() * (index + 1));
    const [a, b] = [plugins[index], plugins[other]];
    if (a !== undefined && b !== undefined) [plugins[index], plugins[other]] = [b, a];
  }
  return plugins;
}

/**
 * The start order as one would write it down: Kahn's algorithm on Maps, https://doi.org/10.1145/368996.369025. Looks at no
 * versions, and knows of one provider per type.
 * @returns how many plugins got a place.
 */
export function kahnOnMaps(plugins: readonly GraphPlugin[]): number {
  const providers = new Map<string, string>();
  for (const { id, provides = [] } of plugins) for (const { type } of provides) providers.set(type, id);
  const missing = new Map<string, number>();
  const dependents = new Map<string, string[]>();
  for (const { id, requires = [] } of plugins) {
    const needed = new Set<string>();
    for (const { type } of requires) {
      const provider = providers.get(type);
      if (provider !== undefined) needed.add(provider);
    }
    missing.set(id, needed.size);
    for (const provider of needed) {
      const list = dependents.get(provider);
      if (list === undefined) dependents.set(provider, [id]);
      else list.push(id);
    }
  }
  let layer = plugins.filter(({ id }) => missing.get(id) === 0).map(({ id }) => id);
  let placed = 0;
  while (layer.length > 0) {
    placed += layer.length;
    const next: string[] = [];
    for (const id of layer) {
      for (const dependent of dependents.get(id) ?? []) {
        const left = (missing.get(dependent) ?? 0) - 1;
        missing.set(dependent, left);
        if (left === 0) next.push(dependent);
      }
    }
    layer = next;
  }
  return placed;
}
