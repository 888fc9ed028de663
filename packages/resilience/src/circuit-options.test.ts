import { describe, expect, it } from "vitest";
import { type CircuitBreakerOptions, resolveCircuitBreakerOptions } from "./circuit-options.ts";
import { verdictOnError } from "./circuit-verdict.ts";
import { systemClock } from "./clock.ts";

const defaults = {
  maxKeys: 1_000,
  failureThreshold: 5,
  failureRate: Infinity,
  slowCallRate: Infinity,
  slowCallMs: Infinity,
  windowCalls: 100,
  windowMs: undefined,
  hasRates: false,
  minimumCalls: 20,
  openMs: 10_000,
  openFactor: 1,
  openMaxMs: 300_000,
  permittedProbes: 1,
  successThreshold: 2,
  probeMaxAgeMs: 60_000,
  classify: verdictOnError,
  clock: systemClock,
};

const allUndefined: CircuitBreakerOptions = {
  key: undefined,
  maxKeys: undefined,
  failureThreshold: undefined,
  failureRate: undefined,
  slowCallRate: undefined,
  slowCallMs: undefined,
  windowCalls: undefined,
  windowMs: undefined,
  minimumCalls: undefined,
  openMs: undefined,
  openFactor: undefined,
  openMaxMs: undefined,
  permittedProbes: undefined,
  successThreshold: undefined,
  probeMaxAgeMs: undefined,
  classify: undefined,
  clock: undefined,
};

describe("resolveCircuitBreakerOptions", () => {
  it.each([
    { title: "nothing", options: undefined },
    { title: "no option", options: {} },
    { title: "options that are undefined", options: allUndefined },
  ])("gives the defaults for $title", ({ options }) => {
    expect(resolveCircuitBreakerOptions(options)).toMatchObject(defaults);
  });

  it.each<{ title: string; options: CircuitBreakerOptions; result: object }>([
    { title: "a rate", options: { failureRate: 0.5 }, result: { failureThreshold: Infinity, hasRates: true } },
    {
      title: "a slow call rate",
      options: { slowCallRate: 1, slowCallMs: 5 },
      result: { failureThreshold: Infinity, hasRates: true, slowCallMs: 5 },
    },
    { title: "few windowCalls", options: { windowCalls: 7 }, result: { minimumCalls: 7 } },
    { title: "windowMs", options: { windowMs: 5 }, result: { minimumCalls: 20, windowMs: 5 } },
    { title: "a long openMs", options: { openMs: 1e6 }, result: { openMaxMs: 1e6 } },
    {
      title: "failureThreshold Infinity",
      options: { failureThreshold: Infinity },
      result: { failureThreshold: Infinity },
    },
  ])("other defaults follow from $title", ({ options, result }) => {
    expect(resolveCircuitBreakerOptions(options)).toMatchObject(result);
  });

  it.each<{ bad: object; error: Error }>([
    ...["maxKeys", "failureThreshold", "windowCalls", "minimumCalls", "permittedProbes", "successThreshold"].flatMap(
      (name) =>
        [0, 1.5, Number.NaN].map((value) => ({
          bad: { [name]: value },
          error: new RangeError(`${name} must be a whole number from 1, got ${value}`),
        })),
    ),
    ...["slowCallMs", "windowMs", "openMs", "openMaxMs", "openFactor", "probeMaxAgeMs"].flatMap((name) =>
      [0, -1, Number.NaN, Infinity].map((value) => ({
        bad: { slowCallRate: 0.5, slowCallMs: 1, openMaxMs: 300_000, [name]: value },
        error: new RangeError(`${name} must be a finite number above 0, got ${value}`),
      })),
    ),
    ...["failureRate", "slowCallRate"].flatMap((name) =>
      [0, 1.01, Number.NaN].map((value) => ({
        bad: { slowCallMs: 1, slowCallRate: 1, [name]: value },
        error: new RangeError(`${name} must be greater than 0 and at most 1, got ${value}`),
      })),
    ),
    { bad: { slowCallRate: 0.5 }, error: new TypeError("slowCallRate and slowCallMs must be given together") },
    { bad: { slowCallMs: 5 }, error: new TypeError("slowCallRate and slowCallMs must be given together") },
    {
      bad: { windowCalls: 5, windowMs: 5 },
      error: new TypeError("windowCalls and windowMs must not be given together"),
    },
    { bad: { windowCalls: 1_000_001 }, error: new RangeError("windowCalls must be at most 1000000, got 1000001") },
    {
      bad: { windowCalls: 5, minimumCalls: 6 },
      error: new RangeError("minimumCalls must be at most windowCalls (5), got 6"),
    },
    { bad: { openFactor: 0.5 }, error: new RangeError("openFactor must be at least 1, got 0.5") },
    { bad: { openMs: 5, openMaxMs: 4 }, error: new RangeError("openMaxMs must be at least openMs (5), got 4") },
    { bad: { classify: "all" }, error: new TypeError("classify must be a function, got all") },
    {
      bad: { key: "host" },
      error: new TypeError('key must be "method", "service", "endpoint" or a function, got host'),
    },
  ])("refuses $bad", ({ bad, error }) => {
    expect(() => resolveCircuitBreakerOptions(bad)).toThrow(error);
  });
});
