import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { unaryRequest } from "../test/fixtures/deferred-calls.ts";
import { createRetryBudget, type RetryBudgetOptions } from "./retry-budget.ts";

const a = unaryRequest({ endpoint: "http://a" });
const b = unaryRequest({ endpoint: "http://b" });
const c = unaryRequest({ endpoint: "http://c" });

/** How many failures in a row may be followed by a retry. */
function spend(options: RetryBudgetOptions | undefined): number {
  const budget = createRetryBudget(options);
  let retries = 0;
  while (budget.failed(a)) retries += 1;
  return retries;
}

describe("createRetryBudget", () => {
  it.each([
    { options: undefined, retries: 49 },
    { options: { maxTokens: undefined, tokenRatio: undefined, key: undefined, maxKeys: undefined }, retries: 49 },
    { options: { maxTokens: 10 }, retries: 4 },
    { options: { maxTokens: 1 }, retries: 0 },
  ])("$options allows $retries retries while nothing succeeds", ({ options, retries }) => {
    expect(spend(options)).toBe(retries);
  });

  it("earns by successes what it may spend, of which the default is a tenth", () => {
    const budget = createRetryBudget({ maxTokens: 10 });
    while (budget.failed(a));
    expect(budget.snapshot("http://a")).toEqual({ key: "http://a", tokens: 5, canRetry: false });
    for (let count = 0; count < 10; count++) budget.succeeded(a);
    expect(budget.snapshot("http://a")).toEqual({ key: "http://a", tokens: 6, canRetry: true });
    const generous = createRetryBudget({ maxTokens: 10, tokenRatio: 0.5 });
    generous.failed(a);
    generous.succeeded(a);
    expect(generous.snapshot("http://a").tokens).toBe(9.5);
  });

  it("has tokens for each endpoint, or what else is the key", () => {
    const byEndpoint = createRetryBudget({ maxTokens: 2 });
    expect([byEndpoint.failed(a), byEndpoint.snapshot("http://b").canRetry]).toEqual([false, true]);
    const byMethod = createRetryBudget({ maxTokens: 3, key: "method" });
    expect([byMethod.failed(a), byMethod.failed(b)]).toEqual([true, false]);
    expect(byMethod.snapshots().map(({ key }) => key)).toEqual(["cpg.test.v1.EchoService/Get"]);
  });

  it("forgets keys that are full again", () => {
    const budget = createRetryBudget({ maxTokens: 2, tokenRatio: 1 });
    budget.failed(a);
    expect(budget.snapshots()).toEqual([{ key: "http://a", tokens: 1, canRetry: false }]);
    budget.succeeded(a);
    expect(budget.snapshots()).toEqual([]);
    budget.succeeded(b);
    expect(budget.snapshots()).toEqual([]);
  });

  it("has one bucket for all keys above maxKeys, and forgets nothing that was spent", () => {
    const budget = createRetryBudget({ maxTokens: 4, maxKeys: 1 });
    expect([budget.failed(a), budget.failed(b), budget.failed(c)]).toEqual([true, true, false]);
    expect(budget.snapshots()).toEqual([{ key: "http://a", tokens: 3, canRetry: true }]);
    expect(budget.snapshot("http://b")).toEqual({ key: "http://b", tokens: 2, canRetry: false });
    for (let count = 0; count < 10; count++) budget.succeeded(c);
    expect(budget.snapshot("http://b").canRetry).toBe(true);
  });

  it.each<{ wrong: RetryBudgetOptions; error: Error }>([
    { wrong: { maxTokens: 0 }, error: new RangeError("maxTokens must be from 1 to 1000000, got 0") },
    {
      wrong: { tokenRatio: -1 },
      error: new RangeError("tokenRatio must be from 0.001 to maxTokens (100), got -1"),
    },
    { wrong: { maxKeys: 0.5 }, error: new RangeError("maxKeys must be a whole number from 1, got 0.5") },
    {
      wrong: { key: JSON.parse('"host"') },
      error: new TypeError('key must be "method", "service", "endpoint" or a function, got host'),
    },
  ])("refuses $wrong", ({ wrong, error }) => {
    expect(() => createRetryBudget(wrong)).toThrow(error);
  });

  it("law: it remembers no more than maxKeys, each between 0 and full", () => {
    const steps = fc.array(fc.record({ host: fc.nat(9), ok: fc.boolean() }), { maxLength: 100 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), steps, (maxKeys, all) => {
        const budget = createRetryBudget({ maxTokens: 3, tokenRatio: 0.5, maxKeys });
        for (const { host, ok } of all) {
          const request = unaryRequest({ endpoint: `http://${host}` });
          if (ok) budget.succeeded(request);
          else budget.failed(request);
          const snapshots = budget.snapshots();
          expect(snapshots.length).toBeLessThanOrEqual(maxKeys);
          expect(snapshots.every(({ tokens }) => tokens >= 0 && tokens < 3)).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });
});
