import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { emptyHedgeBudget, payForCall, takeHedge } from "./hedging-budget-state.ts";

describe("payForCall", () => {
  it.each([
    { title: "a share for each call", from: 0, maxShare: 0.05, to: 50_000 },
    { title: "all of it", from: 0, maxShare: 1, to: 1_000_000 },
    { title: "no more than maxBurst", from: 1_990_000, maxShare: 0.05, to: 2_000_000 },
  ])("$title", ({ from, maxShare, to }) => {
    expect(payForCall({ microHedges: from }, { maxShare, maxBurst: 2 })).toEqual({ microHedges: to });
  });
});

describe("takeHedge", () => {
  it.each([
    { from: 1_000_000, granted: true, to: 0 },
    { from: 1_999_999, granted: true, to: 999_999 },
    { from: 999_999, granted: false, to: 999_999 },
    { from: 0, granted: false, to: 0 },
  ])("with $from millionths: $granted, $to", ({ from, granted, to }) => {
    expect(takeHedge({ microHedges: from })).toEqual({ granted, state: { microHedges: to } });
  });
});

describe("laws of the hedge budget", () => {
  it("there are never more hedges than the share of the calls, nor in a row more than maxBurst", () => {
    const anyConfig = fc.record({
      maxShare: fc.integer({ min: 1, max: 1_000 }).map((thousandths) => thousandths / 1_000),
      maxBurst: fc.integer({ min: 1, max: 5 }),
    });
    fc.assert(
      fc.property(
        anyConfig,
        fc.array(fc.constantFrom("call", "call", "hedge"), { maxLength: 200 }),
        (config, steps) => {
          let state = emptyHedgeBudget;
          let calls = 0;
          let hedges = 0;
          let inARow = 0;
          for (const step of steps) {
            if (step === "call") {
              state = payForCall(state, config);
              calls += 1;
              inARow = 0;
            } else {
              const { granted, state: after } = takeHedge(state);
              state = after;
              hedges += granted ? 1 : 0;
              inARow += granted ? 1 : 0;
            }
            expect(hedges).toBeLessThanOrEqual(config.maxShare * calls + 1e-9);
            expect(inARow).toBeLessThanOrEqual(config.maxBurst);
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it("a hedge is granted as soon as it is paid for", () => {
    let state = emptyHedgeBudget;
    for (let call = 0; call < 20; call++) {
      expect(takeHedge(state).granted).toBe(false);
      state = payForCall(state, { maxShare: 0.05, maxBurst: 1 });
    }
    expect(takeHedge(state).granted).toBe(true);
  });
});
