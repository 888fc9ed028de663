import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { retry } from "./retry.ts";
import { resolveRetryOptions } from "./retry-options.ts";

/** What a program without types may pass. */
const untyped = (options: Record<string, unknown>) => options as never;

describe("resolveRetryOptions", () => {
  it("has defaults", () => {
    expect(resolveRetryOptions()).toMatchObject({
      maxAttempts: 3,
      backoff: { initialMs: 100, maxMs: 10_000, factor: 2, jitter: "full" },
      perAttemptTimeoutMs: Infinity,
      overallTimeoutMs: Infinity,
      codes: new Set([Code.Unavailable]),
      retryIf: undefined,
      maxPushbackMs: 60_000,
      onRetry: undefined,
      random: Math.random,
    });
  });

  it("takes undefined for the default, for every option", () => {
    const names = Object.keys(resolveRetryOptions());
    const { budget, ...resolved } = resolveRetryOptions(Object.fromEntries(names.map((name) => [name, undefined])));
    expect(resolved).toEqual((({ budget: _, ...rest }) => rest)(resolveRetryOptions()));
    expect(budget?.snapshot("x")).toEqual({ key: "x", tokens: 100, canRetry: true });
  });

  it.each([
    { wrong: { maxAttempts: 0 }, error: new RangeError("maxAttempts must be a whole number from 1, got 0") },
    { wrong: { maxAttempts: 1.5 }, error: new RangeError("maxAttempts must be a whole number from 1, got 1.5") },
    { wrong: { maxAttempts: "3" }, error: new RangeError("maxAttempts must be a whole number from 1, got 3") },
    { wrong: { backoff: { factor: 0 } }, error: new RangeError("factor must be at least 1, got 0") },
    {
      wrong: { perAttemptTimeoutMs: 0 },
      error: new RangeError("perAttemptTimeoutMs must be a finite number above 0, got 0"),
    },
    {
      wrong: { perAttemptTimeoutMs: Infinity },
      error: new RangeError("perAttemptTimeoutMs must be a finite number above 0, got Infinity"),
    },
    {
      wrong: { overallTimeoutMs: -1 },
      error: new RangeError("overallTimeoutMs must be a finite number above 0, got -1"),
    },
    {
      wrong: { overallTimeoutMs: Number.NaN },
      error: new RangeError("overallTimeoutMs must be a finite number above 0, got NaN"),
    },
    { wrong: { maxPushbackMs: -1 }, error: new RangeError("maxPushbackMs must be at least 0, got -1") },
    { wrong: { maxPushbackMs: Number.NaN }, error: new RangeError("maxPushbackMs must be at least 0, got NaN") },
    { wrong: { codes: "unavailable" }, error: new TypeError("codes must be an array, got unavailable") },
    { wrong: { codes: [0] }, error: new RangeError("codes must be codes other than Code.Canceled, got 0") },
    { wrong: { codes: [Code.Canceled] }, error: new RangeError("codes must be codes other than Code.Canceled, got 1") },
    { wrong: { retryIf: true }, error: new TypeError("retryIf must be a function, got true") },
    { wrong: { onRetry: "log" }, error: new TypeError("onRetry must be a function, got log") },
    { wrong: { random: 0.5 }, error: new TypeError("random must be a function, got 0.5") },
    { wrong: { budget: true }, error: new TypeError("budget must be a RetryBudget or false, got true") },
    { wrong: { budget: null }, error: new TypeError("budget must be a RetryBudget or false, got null") },
    { wrong: { clock: 5 }, error: new TypeError("clock must be a Clock, got 5") },
  ])("refuses $wrong", ({ wrong, error }) => {
    expect(() => retry(untyped(wrong))).toThrow(error);
  });
});
