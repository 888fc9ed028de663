import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BackoffOptions, backoffDelay, createBackoff, type Jitter, resolveBackoffOptions } from "./backoff.ts";
import { seededRandom } from "./testing/seeded-random.ts";

const jitters: readonly Jitter[] = ["none", "full", "equal", "decorrelated"];

describe("backoffDelay", () => {
  it.each<{ jitter: Jitter; attempt: number; previousMs: number; random: number; delay: number }>([
    { jitter: "none", attempt: 0, previousMs: 100, random: 0.5, delay: 100 },
    { jitter: "none", attempt: 3, previousMs: 400, random: 0.5, delay: 800 },
    { jitter: "none", attempt: 4, previousMs: 800, random: 0.5, delay: 1_000 },
    { jitter: "none", attempt: 5_000, previousMs: 1_000, random: 0.5, delay: 1_000 },
    { jitter: "full", attempt: 0, previousMs: 100, random: 0, delay: 0 },
    { jitter: "full", attempt: 2, previousMs: 100, random: 0.25, delay: 100 },
    { jitter: "full", attempt: 9, previousMs: 100, random: 0.5, delay: 500 },
    { jitter: "equal", attempt: 0, previousMs: 100, random: 0, delay: 50 },
    { jitter: "equal", attempt: 2, previousMs: 100, random: 0.5, delay: 300 },
    { jitter: "equal", attempt: 9, previousMs: 100, random: 0.5, delay: 750 },
    { jitter: "decorrelated", attempt: 0, previousMs: 100, random: 0, delay: 100 },
    { jitter: "decorrelated", attempt: 0, previousMs: 100, random: 0.5, delay: 200 },
    { jitter: "decorrelated", attempt: 7, previousMs: 200, random: 0.5, delay: 350 },
    { jitter: "decorrelated", attempt: 3, previousMs: 0, random: 0.5, delay: 100 },
    { jitter: "decorrelated", attempt: 1, previousMs: 1_000, random: 0.9, delay: 1_000 },
  ])("$jitter, attempt $attempt after $previousMs ms, random $random: $delay ms", ({ jitter, delay, ...draw }) => {
    const config = { initialMs: 100, maxMs: 1_000, factor: 2, jitter };
    expect(backoffDelay(config, draw)).toBeCloseTo(delay, 9);
  });
});

const anyOptions = fc
  .record({
    initialMs: fc.double({ min: 0.001, max: 1e6, noNaN: true }),
    times: fc.double({ min: 1, max: 1e6, noNaN: true }),
    factor: fc.double({ min: 1, max: 1e3, noNaN: true }),
    jitter: fc.constantFrom(...jitters),
  })
  .map(({ times, ...options }) => ({ ...options, maxMs: options.initialMs * times }));

describe("createBackoff", () => {
  it("starts at 100 ms, doubles, and stays at 10 s by default", () => {
    const backoff = createBackoff({ jitter: "none" });
    const delays = Array.from({ length: 9 }, () => backoff.next());
    expect(delays).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
  });

  it("spreads its delays over the whole range by default", () => {
    const backoff = createBackoff({}, () => 0.5);
    expect([backoff.next(), backoff.next()]).toEqual([50, 100]);
  });

  it("takes an explicit undefined as the default", () => {
    const options = { initialMs: undefined, maxMs: undefined, factor: undefined, jitter: undefined };
    expect(resolveBackoffOptions(options)).toEqual({ initialMs: 100, maxMs: 10_000, factor: 2, jitter: "full" });
  });

  it.each<{ options: BackoffOptions; message: string }>([
    { options: { initialMs: 0 }, message: "initialMs must be greater than 0, got 0" },
    { options: { initialMs: Number.NaN }, message: "initialMs must be greater than 0, got NaN" },
    { options: { initialMs: Infinity, maxMs: Infinity }, message: "initialMs must be a finite number, got Infinity" },
    { options: { maxMs: 99 }, message: "maxMs must be at least initialMs (100), got 99" },
    { options: { maxMs: Infinity }, message: "maxMs must be a finite number, got Infinity" },
    { options: { factor: 0.5 }, message: "factor must be at least 1, got 0.5" },
    { options: { factor: Infinity }, message: "factor must be a finite number, got Infinity" },
  ])("refuses $options: $message", ({ options, message }) => {
    expect(() => createBackoff(options)).toThrow(new RangeError(message));
  });

  it("refuses a jitter that does not exist, by name", () => {
    // @ts-expect-error: not one of the jitters
    expect(() => createBackoff({ jitter: "some" })).toThrow(
      new RangeError('jitter must be one of "none", "full", "equal", "decorrelated", got some'),
    );
  });

  it("law: every delay is between 0 and maxMs; with equal jitter at least half, with decorrelated at least initialMs", () => {
    fc.assert(
      fc.property(anyOptions, fc.integer(), fc.integer({ min: 1, max: 200 }), (options, seed, count) => {
        const backoff = createBackoff(options, seededRandom(seed));
        const floorMs = {
          none: options.initialMs,
          full: 0,
          equal: options.initialMs / 2,
          decorrelated: options.initialMs,
        };
        for (let attempt = 0; attempt < count; attempt++) {
          const delay = backoff.next();
          expect(delay).toBeGreaterThanOrEqual(floorMs[options.jitter]);
          expect(delay).toBeLessThanOrEqual(options.maxMs);
        }
      }),
    );
  });

  it("law: without jitter delays never shrink", () => {
    fc.assert(
      fc.property(anyOptions, (options) => {
        const backoff = createBackoff({ ...options, jitter: "none" });
        const delays = Array.from({ length: 50 }, () => backoff.next());
        expect(delays).toEqual(delays.toSorted((a, b) => a - b));
      }),
    );
  });

  it("law: after reset() it is as new, whatever happened before", () => {
    fc.assert(
      fc.property(anyOptions, fc.nat(50), fc.double({ min: 0, max: 0.999, noNaN: true }), (options, used, random) => {
        const backoff = createBackoff(options, () => random);
        for (let attempt = 0; attempt < used; attempt++) backoff.next();
        backoff.reset();
        const fresh = createBackoff(options, () => random);
        for (let attempt = 0; attempt < 10; attempt++) expect(backoff.next()).toBe(fresh.next());
      }),
    );
  });
});
