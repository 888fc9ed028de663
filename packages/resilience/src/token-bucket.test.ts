import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type TokenBucketConfig, take, tokenBucket } from "./token-bucket.ts";

const config: TokenBucketConfig = { capacity: 4, refillPerSecond: 2 };

describe("take", () => {
  it.each([
    {
      title: "a full bucket",
      state: { tokens: 4, atMs: 0 },
      nowMs: 0,
      result: { ok: true, state: { tokens: 3, atMs: 0 } },
    },
    {
      title: "the last token",
      state: { tokens: 1, atMs: 5 },
      nowMs: 5,
      result: { ok: true, state: { tokens: 0, atMs: 5 } },
    },
    {
      title: "an empty bucket",
      state: { tokens: 0, atMs: 5 },
      nowMs: 5,
      result: { ok: false, state: { tokens: 0, atMs: 5 }, retryAfterMs: 500 },
    },
    {
      title: "too early by half",
      state: { tokens: 0, atMs: 0 },
      nowMs: 250,
      result: { ok: false, state: { tokens: 0.5, atMs: 250 }, retryAfterMs: 250 },
    },
    {
      title: "in time",
      state: { tokens: 0, atMs: 0 },
      nowMs: 500,
      result: { ok: true, state: { tokens: 0, atMs: 500 } },
    },
    {
      title: "after a long rest, no more than the capacity",
      state: { tokens: 0, atMs: 0 },
      nowMs: 1e9,
      result: { ok: true, state: { tokens: 3, atMs: 1e9 } },
    },
    {
      title: "a clock that went back refills nothing, now or later",
      state: { tokens: 0, atMs: 1_000 },
      nowMs: 400,
      result: { ok: false, state: { tokens: 0, atMs: 1_000 }, retryAfterMs: 1_100 },
    },
  ])("$title", ({ state, nowMs, result }) => {
    expect(take(state, nowMs, config)).toEqual(result);
  });

  it("says one ms more where the exact time would be a hair too short", () => {
    const slow: TokenBucketConfig = { capacity: 5, refillPerSecond: 1 };
    const refused = take({ tokens: 0, atMs: 1797.2 }, 1797.2, slow);
    expect(refused).toMatchObject({ ok: false, retryAfterMs: 1_001 });
    expect(take(refused.state, 1797.2 + 1_000, slow).ok).toBe(false);
    expect(take(refused.state, 1797.2 + 1_001, slow).ok).toBe(true);
  });

  it("takes several or none", () => {
    const full = tokenBucket(config, 0);
    const three = take(full, 0, config, 3);
    expect(three).toEqual({ ok: true, state: { tokens: 1, atMs: 0 } });
    expect(take(three.state, 0, config, 2)).toEqual({ ok: false, state: { tokens: 1, atMs: 0 }, retryAfterMs: 500 });
  });

  it.each([0, -1, Number.NaN, 5])("refuses a count of %d", (count) => {
    expect(() => take(tokenBucket(config, 0), 0, config, count)).toThrow(
      new RangeError(`count must be greater than 0 and at most the capacity (4), got ${count}`),
    );
  });
});

describe("tokenBucket", () => {
  it.each([
    { bad: { capacity: 0.5, refillPerSecond: 1 }, message: "capacity must be at least 1, got 0.5" },
    { bad: { capacity: Number.NaN, refillPerSecond: 1 }, message: "capacity must be at least 1, got NaN" },
    { bad: { capacity: Infinity, refillPerSecond: 1 }, message: "capacity must be a finite number, got Infinity" },
    { bad: { capacity: 1, refillPerSecond: 0 }, message: "refillPerSecond must be greater than 0, got 0" },
    {
      bad: { capacity: 1, refillPerSecond: Infinity },
      message: "refillPerSecond must be a finite number, got Infinity",
    },
  ])("refuses $bad: $message", ({ bad, message }) => {
    expect(() => tokenBucket(bad, 0)).toThrow(new RangeError(message));
  });
});

const anyConfig = fc.record({
  capacity: fc.double({ min: 1, max: 1e6, noNaN: true }),
  refillPerSecond: fc.double({ min: 1e-3, max: 1e6, noNaN: true }),
});
/** Pauses between takes, in ms; some negative, as from a clock that goes back. */
const anyPauses = fc.array(fc.double({ min: -100, max: 1e5, noNaN: true }), { minLength: 1, maxLength: 100 });

describe("laws of the token bucket", () => {
  it("never holds less than nothing nor more than its capacity, and gives no more than capacity + rate × time", () => {
    fc.assert(
      fc.property(anyConfig, anyPauses, (bucket, pauses) => {
        let state = tokenBucket(bucket, 0);
        let nowMs = 0;
        let latestMs = 0;
        let taken = 0;
        for (const pause of pauses) {
          nowMs += pause;
          latestMs = Math.max(latestMs, nowMs);
          const result = take(state, nowMs, bucket);
          state = result.state;
          taken += result.ok ? 1 : 0;
          expect(state.tokens).toBeGreaterThanOrEqual(0);
          expect(state.tokens).toBeLessThanOrEqual(bucket.capacity);
          expect(taken).toBeLessThanOrEqual(bucket.capacity + (latestMs * bucket.refillPerSecond) / 1000 + 1e-3);
        }
      }),
    );
  });

  it("who waits for retryAfterMs, alone, gets what they asked for; who comes 2 ms sooner does not", () => {
    fc.assert(
      fc.property(
        anyConfig,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1e9, noNaN: true }),
        (bucket, fill, wish, nowMs) => {
          const empty = { tokens: fill * wish * bucket.capacity * 0.999, atMs: nowMs };
          const count = wish * bucket.capacity;
          const refused = take(empty, nowMs, bucket, count);
          const retryAfterMs = refused.ok ? 0 : refused.retryAfterMs;
          expect(retryAfterMs).toBeGreaterThan(0);
          expect(take(refused.state, nowMs + retryAfterMs, bucket, count).ok).toBe(true);
          expect(take(refused.state, nowMs + retryAfterMs - 2, bucket, count).ok).toBe(false);
        },
      ),
    );
  });
});
