import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { afterCall, type Ejection, eject, isDue, neverEjected, readmit } from "./ejection.ts";

const rules = { failures: 3, baseMs: 100, maxMs: 250 };
const inside = (failures: number, times = 0, sinceMs = 0): Ejection => ({ kind: "in", failures, times, sinceMs });
const out = (times: number, untilMs: number): Ejection => ({ kind: "out", times, untilMs });

describe("ejection", () => {
  it.each([
    { from: neverEjected, failed: true, to: inside(1) },
    { from: inside(1), failed: true, to: inside(2) },
    { from: inside(2), failed: false, to: inside(0) },
    { from: inside(5), failed: true, to: inside(6) },
    { from: out(1, 100), failed: true, to: out(1, 100) },
    { from: out(1, 100), failed: false, to: out(1, 100) },
  ])("$from + call, failed=$failed -> $to", ({ from, failed, to }) => {
    expect(afterCall(from, failed)).toEqual(to);
  });

  it.each([
    { from: inside(3), nowMs: 0, to: out(1, 100), why: "the first time" },
    { from: inside(3, 1, 0), nowMs: 99, to: out(2, 299), why: "the second time" },
    { from: inside(3, 2, 0), nowMs: 50, to: out(3, 300), why: "no longer than the longest" },
    { from: inside(3, 2, 0), nowMs: 100, to: out(2, 300), why: "one time forgiven" },
    { from: inside(3, 2, 0), nowMs: 1_000, to: out(1, 1_100), why: "all forgiven" },
    { from: out(1, 100), nowMs: 50, to: out(1, 100), why: "out already" },
  ])("$from + eject at $nowMs -> $to: $why", ({ from, nowMs, to }) => {
    expect(eject(from, nowMs, rules)).toEqual(to);
  });

  it("comes back with its times, and without failures", () => {
    expect(readmit(out(2, 300), 300)).toEqual(inside(0, 2, 300));
    expect(readmit(inside(2), 5)).toEqual(inside(2));
  });

  it("is due with enough failures in a row, and not while it is out", () => {
    expect([inside(2), inside(3), inside(4), out(1, 100)].map((state) => isDue(state, rules))).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });

  it("lasts at least the base and at most the longest time, and no shorter than the time before if that was just now", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000 }),
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.nat(5_000), { minLength: 1, maxLength: 20 }),
        (baseMs, factor, gaps) => {
          const some = { failures: 1, baseMs, maxMs: baseMs * factor };
          let state: Ejection = neverEjected;
          let nowMs = 0;
          let lastMs = 0;
          for (const gap of gaps) {
            nowMs += gap;
            state = eject(state, nowMs, some);
            const forMs = state.kind === "out" ? state.untilMs - nowMs : Number.NaN;
            expect(forMs).toBeGreaterThanOrEqual(baseMs);
            expect(forMs).toBeLessThanOrEqual(some.maxMs);
            expect(forMs).toBeGreaterThanOrEqual(gap < baseMs ? lastMs : 0);
            lastMs = forMs;
            nowMs += forMs;
            state = readmit(state, nowMs);
          }
        },
      ),
    );
  });
});
