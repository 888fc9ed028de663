import { describe, expect, it } from "vitest";
import { byIdentity, byPeer } from "./caller-key.ts";
import { systemClock } from "./clock.ts";
import { type RateLimitOptions, resolveRateLimitOptions } from "./rate-limit-options.ts";

const defaults = {
  bucket: { capacity: 20, refillPerSecond: 20 },
  key: byIdentity,
  maxKeys: 10_000,
  maxWaitMs: 0,
  maxQueue: 1_000,
  clock: systemClock,
};

describe("resolveRateLimitOptions", () => {
  it("gives the defaults for options that are missing or undefined", () => {
    expect(resolveRateLimitOptions({ limit: 20 })).toEqual(defaults);
    const allUndefined: RateLimitOptions = {
      limit: 20,
      intervalMs: undefined,
      burst: undefined,
      key: undefined,
      maxKeys: undefined,
      maxWaitMs: undefined,
      maxQueue: undefined,
      clock: undefined,
    };
    expect(resolveRateLimitOptions(allUndefined)).toEqual(defaults);
  });

  it.each<{ options: RateLimitOptions; result: object }>([
    { options: { limit: 20, intervalMs: 100 }, result: { bucket: { capacity: 20, refillPerSecond: 200 } } },
    { options: { limit: 20, burst: 2.5 }, result: { bucket: { capacity: 2.5, refillPerSecond: 20 } } },
    { options: { limit: 0.5 }, result: { bucket: { capacity: 1, refillPerSecond: 0.5 } } },
    { options: { limit: 1, key: byPeer, maxKeys: 7 }, result: { key: byPeer, maxKeys: 7 } },
    { options: { limit: 1, maxWaitMs: 5, maxQueue: 3 }, result: { maxWaitMs: 5, maxQueue: 3 } },
  ])("takes $options", ({ options, result }) => {
    expect(resolveRateLimitOptions(options)).toMatchObject(result);
  });

  const whole = (name: string, value: unknown) => new RangeError(`${name} must be a whole number from 1, got ${value}`);
  const positive = (name: string, value: unknown) =>
    new RangeError(`${name} must be a finite number above 0, got ${value}`);

  it.each<{ bad: object; error: Error }>([
    ...["limit", "intervalMs"].flatMap((name) =>
      [0, -1, Infinity, Number.NaN, "many"].map((value) => ({ bad: { [name]: value }, error: positive(name, value) })),
    ),
    ...["maxKeys", "maxQueue"].flatMap((name) =>
      [0, 1.5, Number.NaN].map((value) => ({ bad: { maxWaitMs: 1, [name]: value }, error: whole(name, value) })),
    ),
    ...[0.5, Infinity, Number.NaN].map((burst) => ({
      bad: { burst },
      error: new RangeError(`burst must be a finite number from 1, got ${burst}`),
    })),
    ...[-1, Infinity, Number.NaN].map((maxWaitMs) => ({
      bad: { maxWaitMs },
      error: new RangeError(`maxWaitMs must be a finite number from 0, got ${maxWaitMs}`),
    })),
    { bad: { maxQueue: 5 }, error: new TypeError("maxQueue must be given together with maxWaitMs") },
    { bad: { key: "peer" }, error: new TypeError("key must be a function, got peer") },
    {
      bad: { limit: 1e300, intervalMs: 1e-300 },
      error: new RangeError("limit by intervalMs must be a rate that a number can hold, got 1e+300 / 1e-300"),
    },
  ])("refuses $bad", ({ bad, error }) => {
    expect(() => resolveRateLimitOptions({ limit: 1, ...bad })).toThrow(error);
  });
});
