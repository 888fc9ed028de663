import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { systemClock } from "./clock.ts";
import { type HedgingOptions, resolveHedgingOptions } from "./hedging-options.ts";

const defaults = {
  delayMs: Infinity,
  quantile: 0.95,
  minCalls: 50,
  windowCalls: 1_000,
  maxAttempts: 2,
  maxShare: 0.05,
  maxBurst: 10,
  nonFatalCodes: new Set([
    Code.Unavailable,
    Code.ResourceExhausted,
    Code.DeadlineExceeded,
    Code.Internal,
    Code.Unknown,
    Code.DataLoss,
  ]),
  hedgeIf: undefined,
  onHedge: undefined,
  clock: systemClock,
};

const allUndefined: HedgingOptions = {
  delayMs: undefined,
  quantile: undefined,
  minCalls: undefined,
  windowCalls: undefined,
  maxAttempts: undefined,
  maxShare: undefined,
  maxBurst: undefined,
  nonFatalCodes: undefined,
  hedgeIf: undefined,
  onHedge: undefined,
  clock: undefined,
};

describe("resolveHedgingOptions", () => {
  it.each([
    { title: "nothing", options: undefined },
    { title: "no option", options: {} },
    { title: "options that are undefined", options: allUndefined },
  ])("gives the defaults for $title", ({ options }) => {
    expect(resolveHedgingOptions(options)).toEqual(defaults);
  });

  it.each<{ options: HedgingOptions; result: object }>([
    { options: { delayMs: 5 }, result: { delayMs: 5, quantile: undefined } },
    { options: { delayMs: 5, quantile: 0.5 }, result: { delayMs: 5, quantile: 0.5 } },
    { options: { minCalls: 700 }, result: { minCalls: 700, windowCalls: 1_400 } },
    { options: { minCalls: 7, windowCalls: 14 }, result: { minCalls: 7, windowCalls: 14 } },
    { options: { nonFatalCodes: [Code.Aborted] }, result: { nonFatalCodes: new Set([Code.Aborted]) } },
    { options: { maxAttempts: 5, maxShare: 1, maxBurst: 1 }, result: { maxAttempts: 5, maxShare: 1, maxBurst: 1 } },
  ])("takes $options", ({ options, result }) => {
    expect(resolveHedgingOptions(options)).toMatchObject(result);
  });

  it.each<{ bad: object; error: Error }>([
    ...[0, -1, Infinity, Number.NaN].map((delayMs) => ({
      bad: { delayMs },
      error: new RangeError(`delayMs must be a finite number above 0, got ${delayMs}`),
    })),
    ...[0, 1, Number.NaN].map((quantile) => ({
      bad: { quantile },
      error: new RangeError(`quantile must be greater than 0 and less than 1, got ${quantile}`),
    })),
    ...["minCalls", "windowCalls", "maxBurst"].flatMap((name) =>
      [0, 1.5, 1_000_001, Number.NaN].map((value) => ({
        bad: { [name]: value },
        error: new RangeError(`${name} must be a whole number from 1 to 1000000, got ${value}`),
      })),
    ),
    {
      bad: { minCalls: 50, windowCalls: 99 },
      error: new RangeError("windowCalls must be at least twice minCalls (50), got 99"),
    },
    { bad: { delayMs: 5, minCalls: 5 }, error: new TypeError("minCalls must be given together with a quantile") },
    {
      bad: { delayMs: 5, windowCalls: 500 },
      error: new TypeError("windowCalls must be given together with a quantile"),
    },
    ...[1, 6, 2.5, Number.NaN].map((maxAttempts) => ({
      bad: { maxAttempts },
      error: new RangeError(`maxAttempts must be a whole number from 2 to 5, got ${maxAttempts}`),
    })),
    ...[0, 1.1, Number.NaN].map((maxShare) => ({
      bad: { maxShare },
      error: new RangeError(`maxShare must be greater than 0 and at most 1, got ${maxShare}`),
    })),
    { bad: { nonFatalCodes: 14 }, error: new TypeError("nonFatalCodes must be an array, got 14") },
    { bad: { nonFatalCodes: [99] }, error: new RangeError("nonFatalCodes must be codes, got 99") },
    { bad: { hedgeIf: true }, error: new TypeError("hedgeIf must be a function, got true") },
    { bad: { onHedge: "log" }, error: new TypeError("onHedge must be a function, got log") },
  ])("refuses $bad", ({ bad, error }) => {
    expect(() => resolveHedgingOptions(bad)).toThrow(error);
  });
});
