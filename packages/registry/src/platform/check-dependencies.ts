import { Code, ConnectError } from "@connectrpc/connect";
import { createDependencyGraph, describeProblem } from "../graph/dependency-graph.ts";
import type { GraphPlugin } from "../graph/graph-plugin.ts";
import type { PlatformEntry } from "./platform-entry.ts";
import { expectedOf } from "./platform-plugin.ts";

export interface DependencyCheck {
  readonly plugin: GraphPlugin;
  /** What can be called now. */
  readonly present: readonly GraphPlugin[];
  /** The plugins of the platform, to tell which of them should provide what lacks. */
  readonly entries: Iterable<PlatformEntry>;
}

/** @throws {ConnectError} `failed_precondition`, naming what lacks that the plugin cannot do without. */
export function checkDependencies({ plugin, present, entries }: DependencyCheck): void {
  const { problems } = createDependencyGraph([plugin, ...present]);
  const unmet = problems.flatMap((problem) =>
    problem.kind !== "cycle" && problem.consumer === plugin.id ? [problem] : [],
  );
  if (unmet.length === 0) return;
  const all = [...entries];
  const texts = unmet.map((problem) => {
    const expected = all.filter(
      (entry) => entry.id !== plugin.id && expectedOf(entry.plugin).provides.some(({ type }) => type === problem.type),
    );
    const states = expected.map(({ id, run }) => `plugin ${id} should, and is ${run.state.kind}`);
    return [describeProblem(problem), ...states].join("; ");
  });
  throw new ConnectError(texts.join("; "), Code.FailedPrecondition);
}
