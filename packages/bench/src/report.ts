import { formatFigure, formatRatio } from "./format-figure.ts";
import type { Surroundings } from "./surroundings.ts";
import type { Measure } from "./table.ts";
import type { GoalResult, MeasureResult, TableResult } from "./table-result.ts";

/** All that a run found. As JSON, this is what `--json` writes. */
export interface Report {
  readonly surroundings: Surroundings;
  /** As handed to `--seed`, the same order of everything. */
  readonly seed: number;
  readonly rounds: number;
  readonly short: boolean;
  readonly garbageCollected: boolean;
  readonly tables: readonly TableResult[];
}

/** A report to be read, in Markdown. */
export function reportAsMarkdown({ surroundings, ...report }: Report): string {
  const { node, platform, cpus, cpuModel, memoryGiB, load, versions } = surroundings;
  const packages = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const notes = [
    `Node ${node}, ${platform}, ${cpus} CPUs (${cpuModel}), ${memoryGiB} GiB, load ${load.toFixed(2)} at the start.`,
    `${packages.join(", ")}.`,
    `${report.rounds} rounds, seed ${report.seed}.`,
  ];
  if (!report.garbageCollected) notes.push("Garbage was left to itself: Node ran without --expose-gc.");
  if (report.short) notes.push("A short run: it shows that everything answers rightly, its figures say nothing.");
  const tables = report.tables.map((table) => [
    `## ${table.name}: ${table.title}`,
    ...table.measures.map(measureAsMarkdown),
    ...(table.goals.length === 0 ? [] : [goalsAsMarkdown(table)]),
  ]);
  return `${[notes.join("\n"), ...tables.flat()].join("\n\n")}\n`;
}

function measureAsMarkdown(measure: MeasureResult): string {
  const clock = measure.clock === "cpu" ? ", CPU time" : "";
  const head = [`${measure.name}${clock}${addedTo(measure)}`, "median", "lowest..highest", `x "${measure.base}"`];
  const rows = measure.rows.map(({ variant, figure, ratio }) => [
    variant,
    formatFigure(figure.median, measure.unit),
    `${formatFigure(figure.min, measure.unit)}..${formatFigure(figure.max, measure.unit)}`,
    formatRatio(ratio),
  ]);
  return markdownTable(head, rows);
}

function addedTo({ subtract }: Pick<Measure, "subtract">): string {
  return subtract === undefined ? "" : `, added to "${subtract}"`;
}

function goalsAsMarkdown({ goals }: TableResult): string {
  return markdownTable(
    ["goal", "measured", ""],
    goals.map((goal) => [describeGoal(goal), formatRatio(goal.figure), goal.met ? "met" : "MISSED"]),
  );
}

/** A goal as a sentence. */
function describeGoal({ measure, of, to, ratio, bound }: Omit<GoalResult, "figure" | "met">): string {
  const limit = "atMost" in bound ? `at most ${bound.atMost}` : `at least ${bound.atLeast}`;
  const relation = ratio === "cost" ? `costs ${limit} of` : `is ${limit} times as fast as`;
  return `${measure}: "${of}" ${relation} "${to}"`;
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const columns = head.map((_, index) => (index === 0 ? "---" : "--:"));
  return [line(head), line(columns), ...rows.map(line)].join("\n");
}
