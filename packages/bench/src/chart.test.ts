import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { chartAsSvg, isOurs } from "./chart.ts";
import { interceptorsTable } from "./interceptors/interceptors-table.ts";
import { launchTable } from "./launch/launch-table.ts";
import type { Report } from "./report.ts";
import { routingTable } from "./routing/routing-table.ts";
import { tableResult } from "./table-result.ts";
import { panels, withResults } from "./write-results.ts";

const result = tableResult(
  {
    name: "launch",
    title: "calls",
    measures: [{ name: "echo", unit: "ns", base: "direct call" }],
    variants: [
      { name: "direct call", setup: () => Promise.reject(new Error("not run")) },
      { name: 'in memory <fast> & "isolated"', setup: () => Promise.reject(new Error("not run")) },
    ],
    goals: [],
  },
  new Map([
    [
      "echo",
      new Map([
        ["direct call", [80, 90, 100]],
        ['in memory <fast> & "isolated"', [800, 900, 1_000]],
      ]),
    ],
  ]),
);
const report: Report = {
  surroundings: { node: "24", platform: "linux", cpus: 2, cpuModel: "x", memoryGiB: 1, load: 0, versions: {} },
  seed: 1,
  rounds: 3,
  short: false,
  garbageCollected: true,
  tables: [result],
};
const panel = { table: "launch", measure: "echo", title: "One call" };

describe("chartAsSvg", () => {
  it("is the same text for the same report, and no name breaks it", () => {
    const svg = chartAsSvg([result], [panel]);
    expect(chartAsSvg([result], [panel])).toBe(svg);
    expect(svg).toContain("in memory &lt;fast&gt; &amp; &quot;isolated&quot;");
    expect(svg.match(/<rect class="bar"/g)).toHaveLength(1);
    expect(svg.match(/<rect class="bar other"/g)).toHaveLength(1);
    expect(svg).toContain("(10.0x)");
  });

  it("draws longer bars for what takes longer", () => {
    const lengths = [...chartAsSvg([result], [panel]).matchAll(/width="([\d.]+)" height="14"/g)].map(([, width]) =>
      Number(width),
    );
    expect(lengths).toHaveLength(2);
    expect(lengths[1]).toBeGreaterThan(lengths[0] ?? 0);
  });

  it("leaves out what was not measured", () => {
    expect(chartAsSvg([result], [{ ...panel, measure: "another" }])).not.toContain("One call");
  });
});

describe("the page", () => {
  it("has its markers, and what stands around them stays", () => {
    const page = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const written = withResults(page, report);
    expect(written).toContain("![The medians as bars](chart.svg)");
    expect(written).toContain("### launch: calls");
    expect(withResults(written, report)).toBe(written);
    expect(written.slice(0, 500)).toBe(page.slice(0, 500));
    expect(() => withResults("no markers", report)).toThrow(/bench results/);
  });

  it.each(panels)("shows $table: $measure, which is there", ({ table, measure }) => {
    const measures = [launchTable, routingTable, interceptorsTable].find(({ name }) => name === table)?.measures;
    expect(measures?.map(({ name }) => name)).toContain(measure);
  });
});

describe("what is filled", () => {
  it.each([
    ["launch", launchTable, /^(?:in memory|worker|process)/],
    ["routing", routingTable, /^router$/],
    ["interceptors", interceptorsTable, /^(?:one |deadline|retry|breaker|rate limit)/],
  ])("is ours, and nothing else: %s", (_, { variants, measures }, ours) => {
    const drawn = variants
      .map(({ name }) => name)
      .filter((name) => !measures.some(({ subtract }) => subtract === name));
    expect(drawn.filter(isOurs)).toEqual(drawn.filter((name) => ours.test(name)));
  });
});
