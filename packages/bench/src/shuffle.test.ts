import { seededRandom } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { shuffle } from "./shuffle.ts";

describe("shuffle", () => {
  it("keeps every item, once, and leaves the given array as it is", () => {
    const items = Object.freeze([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(shuffle(items, seededRandom(1)).toSorted()).toEqual(items);
  });

  it("gives the same order for the same seed, another one for another", () => {
    const items = Array.from({ length: 20 }, (_, index) => index);
    expect(shuffle(items, seededRandom(7))).toEqual(shuffle(items, seededRandom(7)));
    expect(shuffle(items, seededRandom(7))).not.toEqual(shuffle(items, seededRandom(8)));
  });

  it("makes each of the six orders of three items about as often as any other", () => {
    const random = seededRandom(3);
    const seen = new Map<string, number>();
    for (let run = 0; run < 6_000; run++) {
      const order = shuffle(["a", "b", "c"], random).join("");
      seen.set(order, (seen.get(order) ?? 0) + 1);
    }
    expect(seen.size).toBe(6);
    expect(Math.min(...seen.values())).toBeGreaterThan(850);
    expect(Math.max(...seen.values())).toBeLessThan(1_150);
  });
});
