import { readFileSync, writeFileSync } from "node:fs";
import { inPackage } from "./suite.ts";
import type { SuiteRow } from "./suite-row.ts";
import { renderTable } from "./suite-table.ts";

const path = inPackage("README.md");
const begin = "<!-- conformance table -->\n\n";
const end = "\n\n<!-- end of the conformance table -->";

/** The table that README.md shows. */
export function readmeTable(): string {
  const { from, to, text } = find();
  return text.slice(from, to);
}

/** Puts another into its place. */
export function writeReadmeTable(rows: readonly SuiteRow[]): void {
  const { from, to, text } = find();
  writeFileSync(path, text.slice(0, from) + renderTable(rows) + text.slice(to));
}

function find() {
  const text = readFileSync(path, "utf8");
  const from = text.indexOf(begin) + begin.length;
  const to = text.indexOf(end, from);
  if (from < begin.length || to === -1) throw new Error("README.md lacks the comments around its table");
  return { from, to, text };
}
