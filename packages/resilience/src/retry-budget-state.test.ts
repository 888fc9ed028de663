import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  afterAttempt,
  type BudgetEvent,
  checkRetryBudgetConfig,
  fullBudget,
  mayRetry,
  type RetryBudgetConfig,
} from "./retry-budget-state.ts";

const config: RetryBudgetConfig = { maxTokens: 10, tokenRatio: 0.1 };

describe("afterAttempt", () => {
  it.each<{ milliTokens: number; event: BudgetEvent; to: number; retry: boolean }>([
    { milliTokens: 10_000, event: "success", to: 10_000, retry: true },
    { milliTokens: 9_950, event: "success", to: 10_000, retry: true },
    { milliTokens: 4_900, event: "success", to: 5_000, retry: false },
    { milliTokens: 5_000, event: "success", to: 5_100, retry: true },
    { milliTokens: 10_000, event: "failure", to: 9_000, retry: true },
    { milliTokens: 6_001, event: "failure", to: 5_001, retry: true },
    { milliTokens: 6_000, event: "failure", to: 5_000, retry: false },
    { milliTokens: 500, event: "failure", to: 0, retry: false },
    { milliTokens: 0, event: "failure", to: 0, retry: false },
  ])("$milliTokens, $event -> $to, may retry: $retry", ({ milliTokens, event, to, retry }) => {
    const next = afterAttempt({ milliTokens }, event, config);
    expect([next.milliTokens, mayRetry(next, config)]).toEqual([to, retry]);
  });

  it.each([
    { tokenRatio: 0.3, gain: 300 },
    { tokenRatio: 0.0019, gain: 1 },
    { tokenRatio: 2.5, gain: 2_500 },
  ])("gives back $tokenRatio per success, to three digits", ({ tokenRatio, gain }) => {
    expect(afterAttempt({ milliTokens: 0 }, "success", { maxTokens: 10, tokenRatio }).milliTokens).toBe(gain);
  });

  it("begins full, also with a fraction of a token", () => {
    expect(fullBudget({ maxTokens: 2.5, tokenRatio: 0.1 })).toEqual({ milliTokens: 2_500 });
  });

  it("law: between 0 and full; retries are at most half of the tokens and what successes earn", () => {
    const configs = fc.record({
      maxTokens: fc.integer({ min: 1, max: 50 }),
      tokenRatio: fc.integer({ min: 1, max: 1_000 }).map((thousandths) => thousandths / 1_000),
    });
    const events = fc.array(fc.constantFrom<BudgetEvent>("success", "failure", "failure"), { maxLength: 300 });
    fc.assert(
      fc.property(configs, events, (limits, all) => {
        let state = fullBudget(limits);
        let model = limits.maxTokens;
        let successes = 0;
        let retries = 0;
        for (const event of all) {
          state = afterAttempt(state, event, limits);
          model = Math.max(0, Math.min(limits.maxTokens, model + (event === "success" ? limits.tokenRatio : -1)));
          expect(state.milliTokens / 1_000).toBeCloseTo(model, 6);
          if (event === "success") successes += 1;
          else if (mayRetry(state, limits)) retries += 1;
        }
        expect(retries).toBeLessThanOrEqual(limits.maxTokens / 2 + successes * limits.tokenRatio + 1e-9);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("checkRetryBudgetConfig", () => {
  it.each([
    { wrong: { maxTokens: 0 }, says: "maxTokens must be from 1 to 1000000, got 0" },
    { wrong: { maxTokens: 1_000_001 }, says: "maxTokens must be from 1 to 1000000, got 1000001" },
    { wrong: { maxTokens: Number.NaN }, says: "maxTokens must be from 1 to 1000000, got NaN" },
    { wrong: { tokenRatio: 0 }, says: "tokenRatio must be from 0.001 to maxTokens (10), got 0" },
    { wrong: { tokenRatio: 11 }, says: "tokenRatio must be from 0.001 to maxTokens (10), got 11" },
    { wrong: { tokenRatio: Number.NaN }, says: "tokenRatio must be from 0.001 to maxTokens (10), got NaN" },
  ])("refuses $wrong", ({ wrong, says }) => {
    expect(() => checkRetryBudgetConfig({ ...config, ...wrong })).toThrow(new RangeError(says));
  });
});
