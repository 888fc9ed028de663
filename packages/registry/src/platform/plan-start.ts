import { createDependencyGraph, describeProblem } from "../graph/dependency-graph.ts";
import type { GraphPlugin } from "../graph/graph-plugin.ts";

export interface StartPlan {
  /** In an order in which each comes after those that it waits for. */
  readonly order: readonly string[];
  /** Ids of the others that each waits for. */
  readonly after: ReadonlyMap<string, readonly string[]>;
  /** Why some cannot start at all. */
  readonly problems: ReadonlyMap<string, string>;
}

/**
 * In which order plugins start: each after all others that provide what it needs, also what it can do without, as long as
 * nobody would wait for ever. Those in a circle do not start.
 * @param others that run already.
 */
export function planStart(plugins: readonly GraphPlugin[], others: readonly GraphPlugin[]): StartPlan {
  const graph = createDependencyGraph([...plugins, ...others.map(({ id, provides }) => ({ id, provides }))]);
  const own = new Set(plugins.map(({ id }) => id));
  const depths = new Map(graph.layers.flatMap((layer, depth) => layer.map((id) => [id, depth] as const)));
  const cycle = graph.problems.find(({ kind }) => kind === "cycle");
  const problems = new Map<string, string>();
  const after = new Map<string, readonly string[]>();
  for (const { id, requires = [] } of plugins) {
    const depth = depths.get(id);
    if (depth === undefined) {
      problems.set(id, cycle === undefined ? "it waits for itself" : describeProblem(cycle));
      continue;
    }
    const needed = new Set(requires.map(({ type }) => type));
    const providers = plugins.filter(
      (other) => (depths.get(other.id) ?? depth) < depth && other.provides?.some(({ type }) => needed.has(type)),
    );
    after.set(
      id,
      providers.map((provider) => provider.id),
    );
  }
  const order = graph.layers.flat().filter((id) => own.has(id));
  return { order, after, problems };
}

/** The reverse: layers of plugins that can stop together, each after all that need what they provide. */
export function planStop(plugins: readonly GraphPlugin[]): readonly (readonly string[])[] {
  const { layers } = createDependencyGraph(plugins);
  const placed = new Set(layers.flat());
  // Those that wait for each other, and those that need them, are used by nobody else.
  const stuck = plugins.map(({ id }) => id).filter((id) => !placed.has(id));
  return [...(stuck.length > 0 ? [stuck] : []), ...[...layers].reverse()];
}
