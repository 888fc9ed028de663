import { seededRandom } from "@cpg/resilience/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { register } from "../../test/support/facts.ts";
import { createRegistryStore } from "../state/create-registry-store.ts";
import type { Candidate, SelectionName } from "./selection.ts";
import { strategies } from "./strategies.ts";

const names: readonly SelectionName[] = ["first", "round-robin", "random", "weighted", "least-loaded"];

function candidatesOf(...facts: { readonly weight?: number; readonly inFlight?: number }[]): readonly Candidate[] {
  const store = createRegistryStore();
  return facts.map(({ weight = 100, inFlight = 0 }, index) => {
    const registration = register(store, `p${index}`, "logger", { weight });
    const provider = store.provider(registration.providerId);
    if (provider === undefined) throw new Error("not registered");
    return { registration, provider, inFlight };
  });
}

/** How often each was picked. */
function shares(name: SelectionName, candidates: readonly Candidate[], picks: number, random = seededRandom(7)) {
  const turn = { next: 0 };
  const counts = candidates.map(() => 0);
  for (let pick = 0; pick < picks; pick++) {
    const picked = strategies[name](candidates, { turn, random });
    const index = picked === undefined ? -1 : candidates.indexOf(picked);
    counts[index] = (counts[index] ?? Number.NaN) + 1;
  }
  return counts;
}

describe("strategies", () => {
  it("first picks who registered first", () => {
    expect(shares("first", candidatesOf({}, {}, {}), 10)).toEqual([10, 0, 0]);
  });

  it("round-robin picks each in turn", () => {
    expect(shares("round-robin", candidatesOf({}, {}, {}), 9)).toEqual([3, 3, 3]);
  });

  it("round-robin goes on where it was when candidates come and go", () => {
    const [a, b, c] = candidatesOf({}, {}, {});
    const turn = { next: 0 };
    const pick = (...offered: (Candidate | undefined)[]) =>
      strategies["round-robin"](
        offered.filter((candidate) => candidate !== undefined),
        { turn, random: seededRandom(1) },
      );
    expect([pick(a, b), pick(a, b, c), pick(a, b, c), pick(a, b), pick(a, b)]).toEqual([a, b, c, b, a]);
  });

  it("random picks all, about equally often", () => {
    for (const count of shares("random", candidatesOf({}, {}, {}, {}), 4_000)) {
      expect(count).toBeGreaterThan(900);
      expect(count).toBeLessThan(1_100);
    }
  });

  it("weighted picks by weight, and weight 0 never", () => {
    const [heavy = 0, none, light = 0] = shares(
      "weighted",
      candidatesOf({ weight: 90 }, { weight: 0 }, { weight: 10 }),
      10_000,
    );
    expect(none).toBe(0);
    expect(heavy / light).toBeGreaterThan(8);
    expect(heavy / light).toBeLessThan(10);
  });

  it("weighted picks among all when nobody has a weight", () => {
    const counts = shares("weighted", candidatesOf({ weight: 0 }, { weight: 0 }), 1_000);
    expect(Math.min(...counts)).toBeGreaterThan(400);
  });

  it("weighted picks no trailing weight 0 even at the very end", () => {
    const candidates = candidatesOf({ weight: 1 }, { weight: 0 });
    expect(strategies.weighted(candidates, { turn: { next: 0 }, random: () => 1 })).toBe(candidates[0]);
  });

  it("weighted never picks weight 0, whatever the random number, if anybody has more", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 20 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (weights, number) => {
          const candidates = candidatesOf(...weights.map((weight) => ({ weight })));
          const picked = strategies.weighted(candidates, { turn: { next: 0 }, random: () => number });
          expect(candidates).toContain(picked);
          expect(Math.min(picked?.registration.weight ?? 0, 1)).toBe(Math.min(Math.max(...weights), 1));
        },
      ),
    );
  });

  it("least-loaded picks the less busy of two different ones", () => {
    const candidates = candidatesOf({ inFlight: 5 }, { inFlight: 1 });
    expect(shares("least-loaded", candidates, 100)).toEqual([0, 100]);
  });

  it("least-loaded picks the busiest of all never, and any other sometimes", () => {
    const [busiest, ...others] = shares(
      "least-loaded",
      candidatesOf({ inFlight: 3 }, { inFlight: 2 }, { inFlight: 1 }, { inFlight: 2 }),
      1_000,
    );
    expect(busiest).toBe(0);
    expect(Math.min(...others)).toBeGreaterThan(100);
  });

  it("all of them pick one that is offered, also for random numbers at the edge", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.integer({ min: 1, max: 30 }),
        fc.nat(1_000),
        fc.constantFrom(0, 0.5, 1 - Number.EPSILON, 1),
        (name, size, next, number) => {
          const candidates = candidatesOf(...Array.from({ length: size }, () => ({})));
          expect(candidates).toContain(strategies[name](candidates, { turn: { next }, random: () => number }));
        },
      ),
    );
  });
});
