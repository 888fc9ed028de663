import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLatencyHistogram } from "./latency-histogram.ts";

describe("createLatencyHistogram", () => {
  it("knows nothing without calls", () => {
    const histogram = createLatencyHistogram(10);
    expect([histogram.count, histogram.quantile(0.5)]).toEqual([0, Number.NaN]);
  });

  it.each([
    { title: "no time at all", ms: 0, least: 0, most: 0.011 },
    { title: "a microsecond", ms: 0.001, least: 0, most: 0.011 },
    { title: "the lowest edge", ms: 0.01, least: 0.01, most: 0.011 },
    { title: "a century", ms: 3e12, least: 1e7, most: 1.1e7 },
  ])("takes $title", ({ ms, least, most }) => {
    const histogram = createLatencyHistogram(10);
    histogram.record(ms);
    expect(histogram.quantile(0.5)).toBeGreaterThanOrEqual(least);
    expect(histogram.quantile(0.5)).toBeLessThanOrEqual(most);
  });

  it("law: a quantile is no less than the true one, and too high by less than a tenth", () => {
    const anyMs = fc.array(fc.double({ min: 0.02, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(anyMs, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (times, quantile) => {
        const histogram = createLatencyHistogram(1_000);
        for (const ms of times) histogram.record(ms);
        const sorted = times.toSorted((a, b) => a - b);
        const exact = sorted[Math.ceil(quantile * sorted.length) - 1] ?? Number.NaN;
        expect(histogram.quantile(quantile)).toBeGreaterThanOrEqual(exact * (1 - 1e-9));
        expect(histogram.quantile(quantile)).toBeLessThan(exact * 1.1);
      }),
      { numRuns: 1_000 },
    );
  });

  it("forgets half of what it has when the window is full, so that newer calls win in the end", () => {
    const histogram = createLatencyHistogram(100);
    for (let call = 0; call < 99; call++) histogram.record(10);
    expect(histogram.count).toBe(99);
    histogram.record(10);
    expect(histogram.count).toBe(50);
    for (let call = 0; call < 200; call++) histogram.record(1_000);
    expect(histogram.count).toBeLessThan(100);
    expect(histogram.quantile(0.5)).toBeGreaterThanOrEqual(1_000);
    expect(histogram.quantile(0.05)).toBeLessThan(11);
  });
});
