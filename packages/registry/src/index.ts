export {
  createDependencyGraph,
  type DependencyGraph,
  describeProblem,
  type GraphProblem,
} from "./graph/dependency-graph.ts";
export type { UnmetRequirement } from "./graph/edges.ts";
export type { GraphPlugin, GraphRequirement } from "./graph/graph-plugin.ts";
export type { Impact } from "./graph/impact.ts";
