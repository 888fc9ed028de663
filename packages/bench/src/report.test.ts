import { describe, expect, it } from "vitest";
import { type Report, reportAsMarkdown } from "./report.ts";

const report: Report = {
  surroundings: {
    node: "24.21.0",
    platform: "linux x64",
    cpus: 2,
    cpuModel: "A CPU",
    memoryGiB: 8,
    load: 0.5,
    versions: { moleculer: "0.15.2", opossum: "10.0.0" },
  },
  seed: 4_711,
  rounds: 9,
  short: false,
  garbageCollected: true,
  tables: [
    {
      name: "launch",
      title: "What a call costs",
      measures: [
        {
          name: "echo",
          unit: "ns",
          clock: "wall",
          base: "a | b",
          subtract: undefined,
          rows: [
            {
              variant: "a | b",
              figure: { median: 92, min: 90, max: 1_400 },
              ratio: { median: 1, min: 1, max: 1 },
              samples: [90, 92, 1_400],
            },
            { variant: "c", figure: { median: 4_512, min: 4_000, max: 5_000 }, ratio: undefined, samples: [4_512] },
          ],
        },
        { name: "chain", unit: "ns", clock: "cpu", base: "d", subtract: "empty", rows: [] },
      ],
      goals: [
        {
          measure: "echo",
          of: "c",
          to: "a | b",
          ratio: "cost",
          bound: { atMost: 0.5 },
          figure: { median: 0.44, min: 0.3, max: 0.6 },
          met: true,
        },
        {
          measure: "echo",
          of: "c",
          to: "d",
          ratio: "speed",
          bound: { atLeast: 30 },
          figure: undefined,
          met: false,
        },
      ],
    },
  ],
};

describe("reportAsMarkdown", () => {
  it("has the surroundings, each measure, and each goal", () => {
    expect(reportAsMarkdown(report)).toBe(`Node 24.21.0, linux x64, 2 CPUs (A CPU), 8 GiB, load 0.50 at the start.
moleculer 0.15.2, opossum 10.0.0.
9 rounds, seed 4711.

## launch: What a call costs

| echo | median | lowest..highest | x "a \\| b" |
| --- | --: | --: | --: |
| a \\| b | 92.0 ns | 90.0 ns..1.40 µs | 1.00x [1.00..1.00] |
| c | 4.51 µs | 4.00 µs..5.00 µs | – |

| chain, CPU time, added to "empty" | median | lowest..highest | x "d" |
| --- | --: | --: | --: |

| goal | measured |  |
| --- | --: | --: |
| echo: "c" costs at most 0.5 of "a \\| b" | 0.440x [0.300..0.600] | met |
| echo: "c" is at least 30 times as fast as "d" | – | MISSED |
`);
  });

  it("says what makes the figures less worth", () => {
    const text = reportAsMarkdown({ ...report, short: true, garbageCollected: false, tables: [] });
    expect(text).toContain("its figures say nothing");
    expect(text).toContain("without --expose-gc");
  });
});
