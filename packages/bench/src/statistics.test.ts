import { describe, expect, it } from "vitest";
import { summarize, summarizeRatios } from "./statistics.ts";

describe("summarize", () => {
  it.each([
    { figures: [5], summary: { median: 5, min: 5, max: 5 } },
    { figures: [4, 2], summary: { median: 3, min: 2, max: 4 } },
    { figures: [9, 1, 5], summary: { median: 5, min: 1, max: 9 } },
    { figures: [10, 9, 1, 2], summary: { median: 5.5, min: 1, max: 10 } },
    { figures: [3, 20, 100], summary: { median: 20, min: 3, max: 100 } },
    { figures: [-1, 0, 1], summary: { median: 0, min: -1, max: 1 } },
  ])("of $figures is $summary", ({ figures, summary }) => {
    expect(summarize(figures)).toEqual(summary);
  });

  it("leaves the given figures as they are", () => {
    const figures = Object.freeze([3, 1, 2]);
    expect(summarize(figures).median).toBe(2);
  });

  it("refuses no figures at all", () => {
    expect(() => summarize([])).toThrow(new RangeError("there are no figures"));
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])("refuses %s", (figure) => {
    expect(() => summarize([1, figure, 2])).toThrow(RangeError);
  });
});

describe("summarizeRatios", () => {
  it("relates the figures of each round to each other, and not their medians", () => {
    // The second round was disturbed: both took ten times as long.
    expect(summarizeRatios([2, 20, 2], [1, 10, 1])).toEqual({ median: 2, min: 2, max: 2 });
    expect(summarizeRatios([1, 2, 9], [1, 1, 3])).toEqual({ median: 2, min: 1, max: 3 });
  });

  it("leaves out rounds in which there is nothing to divide by", () => {
    expect(summarizeRatios([4, 5, 6], [2, 0, -3])).toEqual({ median: 2, min: 2, max: 2 });
    expect(summarizeRatios([4], [0])).toBeUndefined();
  });

  it.each([
    { name: "rounds that do not match", of: [1, 2], to: [1] },
    { name: "a figure that is not a number", of: [Number.NaN], to: [1] },
    { name: "a divisor that is not a number", of: [1], to: [Number.NaN] },
  ])("refuses $name", ({ of, to }) => {
    expect(() => summarizeRatios(of, to)).toThrow(RangeError);
  });
});
