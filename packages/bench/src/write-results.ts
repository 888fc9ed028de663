import { readFileSync, writeFileSync } from "node:fs";
import { chartAsSvg, type Panel } from "./chart.ts";
import { chainMeasure } from "./interceptors/chain-variant.ts";
import { measureNames } from "./launch/echo-measures.ts";
import { type Report, reportAsMarkdown } from "./report.ts";
import { routingMeasures } from "./routing/routing-measures.ts";

const readme = new URL("../README.md", import.meta.url);
const begin = "<!-- bench results -->";
const end = "<!-- end of the bench results -->";

/** What the chart shows of a run of all tables. */
export const panels: readonly Panel[] = [
  { table: "launch", measure: measureNames.small, title: "One call with 100 B, one at a time" },
  { table: "launch", measure: measureNames.smallLanes, title: "One call with 100 B, 64 at a time" },
  { table: "routing", measure: routingMeasures.lanes, title: "One call that a host passes on, 64 at a time" },
  { table: "interceptors", measure: chainMeasure, title: "What interceptors add to one call" },
];

/** Puts a report between the markers of a page. @throws {Error} when they are not there. */
export function withResults(page: string, report: Report): string {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the page has no ${begin} before ${end}`);
  const tables = reportAsMarkdown(report).replaceAll(/^## /gm, "### ");
  const chart = "![The medians as bars](chart.svg)";
  return `${page.slice(0, from + begin.length)}\n\n${chart}\n\n${tables}\n${page.slice(to)}`;
}

/** Writes README.md, results.json and chart.svg of this package. */
export function writeResults(report: Report, json: string): void {
  writeFileSync(readme, withResults(readFileSync(readme, "utf8"), report));
  writeFileSync(new URL("../results.json", import.meta.url), json);
  writeFileSync(new URL("../chart.svg", import.meta.url), chartAsSvg(report.tables, panels));
}
