import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createBuckets } from "./rate-limit-buckets.ts";
import { take } from "./token-bucket.ts";

const config = { capacity: 3, refillPerSecond: 1 };

/** Takes a token of the key, as a call would. */
function tryKey(buckets: ReturnType<typeof createBuckets>, key: string, nowMs: number): boolean {
  const bucket = buckets.get(key, nowMs);
  const { ok, state } = take(bucket.state, nowMs, config);
  bucket.state = state;
  return ok;
}

describe("createBuckets", () => {
  it("gives each key one of its own while there is room, the same each time", () => {
    const buckets = createBuckets(config, 2, 0);
    const a = buckets.get("a", 0);
    expect(buckets.get("b", 0)).not.toBe(a);
    expect([buckets.get("a", 0) === a, buckets.peek("a") === a, buckets.size]).toEqual([true, true, 2]);
  });

  it("replaces one that is full again", () => {
    const buckets = createBuckets(config, 2, 0);
    for (const key of ["a", "b"]) tryKey(buckets, key, 0);
    const a = buckets.peek("a");
    buckets.get("c", 999);
    expect(buckets.peek("a")).toBe(a);
    const c = buckets.get("c", 1_000);
    expect([buckets.size, buckets.peek("c") === c, buckets.peek("a") === a]).toEqual([2, true, false]);
  });

  it("never forgets one that has given tokens, or for which somebody waits; other keys share one more", () => {
    const buckets = createBuckets(config, 2, 0);
    for (const key of ["a", "b"]) tryKey(buckets, key, 0);
    const shared = buckets.get("c", 0);
    expect([buckets.get("d", 0) === shared, buckets.peek("e") === shared, buckets.size]).toEqual([true, true, 2]);
    buckets.get("a", 0).queue.add(() => {});
    buckets.get("b", 0).queue.add(() => {});
    expect(buckets.get("c", 1e6)).toBe(shared);
  });

  it("begins with what the shared one has, and not while somebody waits for that", () => {
    const buckets = createBuckets(config, 1, 0);
    tryKey(buckets, "a", 0);
    for (let call = 0; call < 3; call++) expect(tryKey(buckets, "c", 999)).toBe(true);
    const shared = buckets.peek("c");
    const waiter = () => {};
    shared.queue.add(waiter);
    expect(buckets.get("c", 1_000)).toBe(shared);
    shared.queue.delete(waiter);
    expect(buckets.get("c", 1_000)).not.toBe(shared);
    expect(tryKey(buckets, "c", 1_000)).toBe(false);
  });

  it("looks at no more than 64 for a new key, and at the next ones the next time", () => {
    const buckets = createBuckets(config, 100, 0);
    for (let index = 0; index < 100; index++) tryKey(buckets, `${index}`, index < 64 ? 500 : 0);
    const [first, last] = [buckets.peek("0"), buckets.peek("64")];
    const shared = buckets.get("new", 1_000);
    expect(buckets.peek("64")).toBe(last);
    expect(buckets.get("new", 1_000)).not.toBe(shared);
    expect([buckets.size, buckets.peek("0") === first, buckets.peek("64") === shared]).toEqual([100, true, true]);
  });

  it("remembers keys above 256 characters by their hash", () => {
    const buckets = createBuckets(config, 4, 0);
    const hash = (key: string) => `sha256 ${createHash("sha256").update(key).digest("base64")}`;
    const [short, hashed] = ["x".repeat(256), "x".repeat(257)];
    expect(buckets.get(hashed, 0)).toBe(buckets.peek(hash(hashed)));
    expect(buckets.peek(hash(short))).not.toBe(buckets.get(short, 0));
    const long = buckets.get("x".repeat(1e6), 0);
    expect(buckets.get("x".repeat(1e6), 0)).toBe(long);
    expect(buckets.get("x".repeat(1e6 - 1), 0)).not.toBe(long);
  });

  it("law: no key gets more than burst + rate * time in any window, and no more keys are remembered than maxKeys", () => {
    const anyCalls = fc.array(fc.tuple(fc.nat(5), fc.integer({ min: 0, max: 1_500 })), { maxLength: 120 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), anyCalls, (maxKeys, calls) => {
        const buckets = createBuckets(config, maxKeys, 0);
        const admitted = new Map<string, number[]>();
        let nowMs = 0;
        for (const [id, ms] of calls) {
          nowMs += ms;
          const key = `${id}`;
          if (tryKey(buckets, key, nowMs)) admitted.set(key, [...(admitted.get(key) ?? []), nowMs]);
          expect(buckets.size).toBeLessThanOrEqual(maxKeys);
        }
        for (const times of admitted.values()) {
          for (const [from, fromMs] of times.entries()) {
            for (const [offset, toMs] of times.slice(from).entries()) {
              const allowed = config.capacity + ((toMs - fromMs) * config.refillPerSecond) / 1_000;
              expect(offset + 1).toBeLessThanOrEqual(allowed + 1e-6);
            }
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("law: a key that nobody else gets in the way of is admitted whenever its own bucket would", () => {
    const anyCalls = fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 60 });
    fc.assert(
      fc.property(anyCalls, (gaps) => {
        const buckets = createBuckets(config, 1, 0);
        let alone = { tokens: config.capacity, atMs: 0 };
        let nowMs = 0;
        for (const ms of gaps) {
          nowMs += ms;
          const result = take(alone, nowMs, config);
          alone = result.state;
          expect(tryKey(buckets, "a", nowMs)).toBe(result.ok);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
