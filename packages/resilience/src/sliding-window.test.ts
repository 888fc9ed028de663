import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createCountWindow, createTimeWindow, type WindowCounts } from "./sliding-window.ts";

interface Sample {
  readonly failed: boolean;
  readonly slow: boolean;
  readonly atMs: number;
}

function countsOf(samples: readonly Sample[]): WindowCounts {
  return {
    calls: samples.length,
    failures: samples.filter(({ failed }) => failed).length,
    slowCalls: samples.filter(({ slow }) => slow).length,
  };
}

const anySamples = fc
  .array(fc.record({ failed: fc.boolean(), slow: fc.boolean(), pauseMs: fc.integer({ min: 0, max: 40 }) }))
  .map((steps) => {
    let atMs = 0;
    return steps.map(({ failed, slow, pauseMs }): Sample => {
      atMs += pauseMs;
      return { failed, slow, atMs };
    });
  });

describe("createCountWindow", () => {
  it("law: counts exactly the latest calls, also after it was cleared", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), anySamples, anySamples, (size, before, after) => {
        const window = createCountWindow(size);
        for (const samples of [before, after]) {
          window.clear();
          expect(window.counts(0)).toEqual(countsOf([]));
          for (const [index, { failed, slow, atMs }] of samples.entries()) {
            window.add(failed, slow, atMs);
            expect(window.counts(atMs)).toEqual(countsOf(samples.slice(Math.max(0, index + 1 - size), index + 1)));
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("createTimeWindow", () => {
  it("a slot goes as a whole when its beginning is as old as the window", () => {
    const window = createTimeWindow(100);
    window.add(true, false, 5);
    window.add(false, true, 19);
    expect(window.counts(99)).toEqual({ calls: 2, failures: 1, slowCalls: 1 });
    expect(window.counts(100)).toEqual({ calls: 1, failures: 0, slowCalls: 1 });
    expect(window.counts(109.9)).toEqual({ calls: 1, failures: 0, slowCalls: 1 });
    expect(window.counts(110)).toEqual({ calls: 0, failures: 0, slowCalls: 0 });
  });

  it("works at any time, before 0 and after a long pause too", () => {
    const window = createTimeWindow(100);
    window.add(true, true, -1_000_005);
    expect(window.counts(-1_000_000)).toEqual({ calls: 1, failures: 1, slowCalls: 1 });
    window.add(true, false, 1e12);
    expect(window.counts(1e12)).toEqual({ calls: 1, failures: 1, slowCalls: 0 });
  });

  it("adds to the newest slot when the clock goes back", () => {
    const window = createTimeWindow(100);
    window.add(true, false, 500);
    window.add(true, false, 10);
    expect(window.counts(10)).toEqual({ calls: 2, failures: 2, slowCalls: 0 });
    expect(window.counts(599)).toEqual({ calls: 2, failures: 2, slowCalls: 0 });
    expect(window.counts(600)).toEqual({ calls: 0, failures: 0, slowCalls: 0 });
  });

  it("law: no call counts that is older than the window, every call that is not older than nine tenths of it", () => {
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 200 }), anySamples, anySamples, (windowMs, before, after) => {
        const window = createTimeWindow(windowMs);
        // The second time from where the first has ended.
        const lastMs = before.at(-1)?.atMs ?? 0;
        for (const { samples, startMs } of [
          { samples: before, startMs: 0 },
          { samples: after, startMs: lastMs },
        ]) {
          window.clear();
          expect(window.counts(startMs)).toEqual(countsOf([]));
          for (const [index, { failed, slow, atMs }] of samples.entries()) {
            window.add(failed, slow, startMs + atMs);
            const ages = samples.slice(0, index + 1);
            // By rounding, one that is exactly as old as the window may still count: 11 ms, from 44 to 55.
            const most = countsOf(ages.filter((sample) => atMs - sample.atMs <= windowMs + 1e-9));
            const least = countsOf(ages.filter((sample) => atMs - sample.atMs <= windowMs * 0.9 - 1e-9));
            const counts = window.counts(startMs + atMs);
            for (const name of ["calls", "failures", "slowCalls"] as const) {
              expect(counts[name]).toBeLessThanOrEqual(most[name]);
              expect(counts[name]).toBeGreaterThanOrEqual(least[name]);
            }
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
