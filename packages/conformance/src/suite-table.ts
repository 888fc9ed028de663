import type { SuiteRow } from "./suite-row.ts";

type Counted = Pick<SuiteRow, "suite" | "side" | "over" | "passed" | "total" | "knownFailing" | "ok">;

const headings = ["suite", "of ours", "over", "passed", "listed as failing", "result"] as const;

/** The rows as a table of Markdown, with nothing in it that two runs of the same code differ in. */
export function renderTable(rows: readonly Counted[]): string {
  const lines = rows.map(({ suite, side, over, passed, total, knownFailing, ok }) => [
    suite,
    side,
    over,
    `${passed} of ${total}`,
    String(knownFailing),
    ok ? "ok" : "FAILED",
  ]);
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...lines.map((cells) => (cells[column] ?? "").length)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(headings), `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`, ...lines.map(line)].join("\n");
}
