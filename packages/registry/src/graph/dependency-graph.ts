import { findEdges, type UnmetRequirement } from "./edges.ts";
import { toDot, toMermaid } from "./export-graph.ts";
import { findCycle } from "./find-cycle.ts";
import type { GraphPlugin } from "./graph-plugin.ts";
import { findImpact, type Impact } from "./impact.ts";
import { findStartOrder } from "./start-order.ts";

/** Why a set of plugins cannot start as a whole. */
export type GraphProblem = UnmetRequirement | { readonly kind: "cycle"; readonly path: readonly string[] };

/** Who needs whom, of a set of plugins that does not change. */
export interface DependencyGraph {
  /** Those that it was made of. */
  readonly plugins: readonly GraphPlugin[];
  /**
   * Plugins that can start together, layer after layer. Each comes after all plugins that provide what it needs, also what
   * it can do without, as long as nobody would wait for ever. Plugins in a circle, and those that need them, are in no layer.
   */
  readonly layers: readonly (readonly string[])[];
  /** What keeps plugins from starting: unmet requirements that are required, and one circle, by its path. */
  readonly problems: readonly GraphProblem[];
  /** Requirements that nobody meets and that are not required. */
  readonly unmetOptional: readonly UnmetRequirement[];
  /**
   * What the removal of one plugin does to the others.
   * @throws {TypeError} for an id that no plugin has.
   */
  impact(id: string): Impact;
  /** A Mermaid flowchart: an arrow from who needs to who provides, dashed where it is not required. */
  toMermaid(): string;
  /** The same for Graphviz. */
  toDot(): string;
}

/**
 * Looks at who provides what whom needs, with versions by semantic precedence. O(plugins + edges).
 * @throws {TypeError} for two plugins of one id, and for what is no version.
 */
export function createDependencyGraph(plugins: readonly GraphPlugin[]): DependencyGraph {
  const places = new Map<string, number>();
  for (const [place, { id }] of plugins.entries()) {
    if (places.has(id)) throw new TypeError(`two plugins have the id ${JSON.stringify(id)}`);
    places.set(id, place);
  }
  const edges = findEdges(plugins);
  const { layers, stuck } = findStartOrder(plugins.length, edges);
  const idOf = (place: number): string => plugins[place]?.id ?? "";
  const cycle = stuck.length === 0 ? undefined : findCycle(stuck, edges.needs);
  return {
    plugins,
    layers: layers.map((layer) => layer.map(idOf)),
    problems: [
      ...edges.unmet.filter(({ requiredForStartup }) => requiredForStartup),
      ...(cycle === undefined ? [] : [{ kind: "cycle" as const, path: cycle.map(idOf) }]),
    ],
    unmetOptional: edges.unmet.filter(({ requiredForStartup }) => !requiredForStartup),
    impact(id) {
      const place = places.get(id);
      if (place === undefined) throw new TypeError(`no plugin has the id ${JSON.stringify(id)}`);
      return findImpact(plugins, edges, place);
    },
    toMermaid: () => toMermaid(plugins, edges, places),
    toDot: () => toDot(plugins, edges, places),
  };
}

/** One sentence that names the consumer, and what to do about it. */
export function describeProblem(problem: GraphProblem): string {
  if (problem.kind === "cycle") return `these plugins need each other: ${problem.path.join(" -> ")}`;
  const { consumer, type, minVersion } = problem;
  const wanted = `${consumer} needs ${type}${minVersion === "" ? "" : ` ${minVersion} or newer`}`;
  if (problem.kind === "missing") return `${wanted}, and no plugin provides ${type}`;
  const found = problem.found.map(({ provider, version }) => `${provider} has ${version}`).join(", ");
  return `${wanted}; ${found}`;
}
