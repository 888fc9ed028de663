import { Code, ConnectError } from "@connectrpc/connect";
import { createDependencyGraph, describeProblem, type GraphProblem } from "../graph/dependency-graph.ts";
import type { GraphPlugin } from "../graph/graph-plugin.ts";
import { createVersionCheck } from "../graph/satisfies.ts";

export interface ReplacementFacts {
  readonly id: string;
  /** What the old and the next one provide. */
  readonly old: NonNullable<GraphPlugin["provides"]>;
  readonly next: NonNullable<GraphPlugin["provides"]>;
  /** All plugins that there are; what the one with this id provides does not count. */
  readonly plugins: readonly GraphPlugin[];
  readonly allowDowngrade: boolean;
}

/**
 * Whether one plugin can take the place of another.
 * @throws {ConnectError} `failed_precondition`, naming the types, versions and plugins: others lose what they cannot do
 * without, or, unless that is allowed, a type is missing or older.
 */
export function checkReplacement({ id, old, next, plugins, allowDowngrade }: ReplacementFacts): void {
  const withProvided = (provides: GraphPlugin["provides"]) =>
    plugins.map((plugin) => (plugin.id === id ? { ...plugin, provides } : plugin));
  const before = new Set(problemsOf(withProvided(old)).keys());
  const broken = [...problemsOf(withProvided(next))].filter(([key]) => !before.has(key)).map(([, text]) => text);
  const lesser = allowDowngrade ? [] : lesserThan(old, next);
  const problems = [...broken, ...lesser];
  if (problems.length > 0) throw new ConnectError(problems.join("; "), Code.FailedPrecondition);
}

function problemsOf(plugins: readonly GraphPlugin[]): ReadonlyMap<string, string> {
  const { problems } = createDependencyGraph(plugins);
  return new Map(problems.map((problem) => [keyOf(problem), describeProblem(problem)]));
}

function keyOf(problem: GraphProblem): string {
  return problem.kind === "cycle" ? "cycle" : `${problem.consumer} ${problem.type} ${problem.minVersion}`;
}

function lesserThan(old: ReplacementFacts["old"], next: ReplacementFacts["next"]): string[] {
  const satisfies = createVersionCheck();
  return old.flatMap(({ type, version }) => {
    const versions = next.filter((service) => service.type === type).map((service) => service.version);
    if (versions.length === 0) return [`the next one does not provide ${type}`];
    if (versions.some((offered) => satisfies(offered, version))) return [];
    return [`the next one provides ${type} ${versions.join(", ")}, which is older than ${version}`];
  });
}
