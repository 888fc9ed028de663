import { seededRandom } from "@cpg/resilience/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { orderSrv, type SrvRecord, shuffled } from "./srv-order.ts";

const record = (name: string, priority: number, weight: number): SrvRecord => ({ name, port: 1, priority, weight });
const anyRecord = fc.record({
  name: fc.string(),
  port: fc.nat(65_535),
  priority: fc.nat(3),
  weight: fc.oneof(fc.nat(3), fc.nat(65_535)),
});

describe("the order of SRV records", () => {
  it("holds each once, with priorities that only rise", () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { maxLength: 20 }), fc.integer(), (records, seed) => {
        const ordered = orderSrv(records, seededRandom(seed));
        expect(new Set(ordered)).toEqual(new Set(records));
        expect(ordered).toHaveLength(records.length);
        const priorities = ordered.map(({ priority }) => priority);
        expect(priorities).toEqual(priorities.toSorted((a, b) => a - b));
      }),
    );
  });

  it.each([
    { weights: [0, 0], random: 0.49, first: 0 },
    { weights: [0, 0], random: 0.5, first: 1 },
    { weights: [1, 3], random: 0, first: 0 },
    { weights: [1, 3], random: 0.39, first: 0 },
    { weights: [1, 3], random: 0.4, first: 1 },
    { weights: [1, 3], random: 0.999, first: 1 },
    { weights: [5, 0], random: 0, first: 1 },
    { weights: [5, 0], random: 0.2, first: 0 },
  ])("of weights $weights begins with number $first when chance is $random", ({ weights, random, first }) => {
    const records = weights.map((weight, index) => record(`${index}`, 0, weight));
    expect(orderSrv(records, () => random)[0]?.name).toBe(`${first}`);
  });

  it("follows the weights in the long run", () => {
    const records = [record("light", 0, 1), record("heavy", 0, 99)];
    const random = seededRandom(3);
    let light = 0;
    for (let run = 0; run < 10_000; run++) if (orderSrv(records, random)[0]?.name === "light") light++;
    expect(light).toBeGreaterThan(100);
    expect(light).toBeLessThan(300);
  });
});

describe("a random order", () => {
  it("holds each item once and leaves what it is made of alone", () => {
    fc.assert(
      fc.property(fc.array(fc.nat()), fc.integer(), (items, seed) => {
        const before = [...items];
        expect(shuffled(items, seededRandom(seed)).toSorted()).toEqual(items.toSorted());
        expect(items).toEqual(before);
      }),
    );
  });
});
