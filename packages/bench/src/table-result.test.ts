import { describe, expect, it } from "vitest";
import type { Goal, Table } from "./table.ts";
import { tableResult } from "./table-result.ts";

const variant = (name: string) => ({ name, setup: () => Promise.reject(new Error("not in this test")) });

function table(parts: Partial<Table>): Table {
  return {
    name: "example",
    title: "An example",
    measures: [{ name: "echo", unit: "ns", base: "slow" }],
    variants: ["idle", "slow", "fast", "absent"].map(variant),
    goals: [],
    ...parts,
  };
}

const samples = new Map([
  [
    "echo",
    new Map([
      ["fast", [30, 40, 25]],
      ["slow", [110, 220, 115]],
      ["idle", [10, 20, 15]],
    ]),
  ],
]);

describe("tableResult", () => {
  it("has a row for each variant that was measured, in the order of the table", () => {
    const [measure] = tableResult(table({}), samples).measures;
    expect(measure?.rows.map((row) => row.variant)).toEqual(["idle", "slow", "fast"]);
    expect(measure?.rows[1]).toEqual({
      variant: "slow",
      figure: { median: 115, min: 110, max: 220 },
      ratio: { median: 1, min: 1, max: 1 },
      samples: [110, 220, 115],
    });
  });

  it("takes the subtrahend of the same round off, and drops its row", () => {
    const measures = [{ name: "echo", unit: "ns", base: "slow", subtract: "idle" }] as const;
    const [measure] = tableResult(table({ measures }), samples).measures;
    expect(measure?.rows.map((row) => [row.variant, row.samples])).toEqual([
      ["slow", [100, 200, 100]],
      ["fast", [20, 20, 10]],
    ]);
    expect(measure?.rows[1]?.ratio).toEqual({ median: 0.1, min: 0.1, max: 0.2 });
  });

  it.each<{ goal: Pick<Goal, "of" | "to" | "ratio" | "bound">; median: number; met: boolean }>([
    { goal: { of: "idle", to: "fast", ratio: "cost", bound: { atMost: 0.5 } }, median: 0.5, met: true },
    { goal: { of: "idle", to: "fast", ratio: "cost", bound: { atMost: 0.49 } }, median: 0.5, met: false },
    { goal: { of: "idle", to: "slow", ratio: "speed", bound: { atLeast: 11 } }, median: 11, met: true },
    { goal: { of: "idle", to: "slow", ratio: "speed", bound: { atLeast: 11.1 } }, median: 11, met: false },
  ])("judges $goal by the median: $met", ({ goal, median, met }) => {
    const { goals } = tableResult(table({ goals: [{ measure: "echo", ...goal }] }), samples);
    expect(goals).toHaveLength(1);
    expect(goals[0]).toMatchObject({ met, figure: { median } });
  });

  it("does not meet a goal that there is nothing to say about", () => {
    const goal: Goal = { measure: "echo", of: "fast", to: "idle", ratio: "cost", bound: { atMost: 9 } };
    const nothing = new Map([["echo", new Map([...(samples.get("echo") ?? []), ["idle", [0, 0, 0]]])]]);
    expect(tableResult(table({ goals: [goal] }), nothing).goals[0]).toMatchObject({ figure: undefined, met: false });
  });

  it.each<{ name: string; parts: Partial<Table> }>([
    { name: "base", parts: { measures: [{ name: "echo", unit: "ns", base: "absent" }] } },
    { name: "subtrahend", parts: { measures: [{ name: "echo", unit: "ns", base: "slow", subtract: "absent" }] } },
    {
      name: "goal",
      parts: { goals: [{ measure: "echo", of: "fast", to: "absent", ratio: "cost", bound: { atMost: 1 } }] },
    },
  ])("refuses a $name without figures", ({ parts }) => {
    expect(() => tableResult(table(parts), samples)).toThrow('measure "echo" has no figures of "absent"');
  });
});
