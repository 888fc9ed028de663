import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { arrive, emptyBulkhead, leaveQueue, release } from "./bulkhead-state.ts";

const limits = { maxConcurrent: 2, maxQueue: 1 };

describe("arrive", () => {
  it.each([
    { title: "an empty one: run", running: 0, waiting: 0, arrival: "run", to: { running: 1, waiting: 0 } },
    { title: "the last slot: run", running: 1, waiting: 0, arrival: "run", to: { running: 2, waiting: 0 } },
    { title: "no slot, a place: wait", running: 2, waiting: 0, arrival: "wait", to: { running: 2, waiting: 1 } },
    { title: "neither: reject", running: 2, waiting: 1, arrival: "reject", to: { running: 2, waiting: 1 } },
  ])("$title", ({ running, waiting, arrival, to }) => {
    expect(arrive({ running, waiting }, limits)).toEqual({ arrival, state: to });
  });
});

describe("release", () => {
  it.each([
    { title: "somebody waits: handed over", running: 2, waiting: 1, handOver: true, to: { running: 2, waiting: 0 } },
    { title: "nobody waits: free", running: 2, waiting: 0, handOver: false, to: { running: 1, waiting: 0 } },
  ])("$title", ({ running, waiting, handOver, to }) => {
    expect(release({ running, waiting })).toEqual({ handOver, state: to });
  });
});

describe("leaveQueue", () => {
  it("one fewer waits", () => {
    expect(leaveQueue({ running: 2, waiting: 1 })).toEqual({ running: 2, waiting: 0 });
  });
});

describe("laws of the bulkhead", () => {
  it("the limits hold, nobody waits while a slot is free, and in the end it is empty", () => {
    const anyLimits = fc.record({ maxConcurrent: fc.integer({ min: 1, max: 5 }), maxQueue: fc.nat(5) });
    const anySteps = fc.array(fc.constantFrom("arrive", "release", "leave"), { maxLength: 60 });
    fc.assert(
      fc.property(anyLimits, anySteps, (bounds, steps) => {
        let state = emptyBulkhead;
        for (const step of steps) {
          if (step === "arrive") state = arrive(state, bounds).state;
          if (step === "release" && state.running > 0) state = release(state).state;
          if (step === "leave" && state.waiting > 0) state = leaveQueue(state);
          expect(state.running).toBeLessThanOrEqual(bounds.maxConcurrent);
          expect(state.waiting).toBeLessThanOrEqual(bounds.maxQueue);
          expect(state.waiting === 0 || state.running === bounds.maxConcurrent).toBe(true);
        }
        const inside = state.running + state.waiting;
        for (let index = 0; index < inside; index++) state = release(state).state;
        expect(state).toEqual(emptyBulkhead);
      }),
      { numRuns: 1_000 },
    );
  });
});
