import { FakeClock, seededRandom } from "@cpg/resilience/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createEndpointRotation, orderEndpoints } from "./endpoint-rotation.ts";

describe("orderEndpoints", () => {
  const failed = (untilMs: number) => ({ count: 1, untilMs });

  it.each([
    { state: "nothing was tried", favourite: undefined, failures: {}, order: ["a", "b", "c"] },
    { state: "b worked last", favourite: "b", failures: {}, order: ["b", "a", "c"] },
    { state: "a failed", favourite: undefined, failures: { a: failed(200) }, order: ["b", "c", "a"] },
    { state: "b worked last, and failed since", favourite: "b", failures: { b: failed(200) }, order: ["a", "c", "b"] },
    {
      state: "all failed: the next one due first",
      favourite: "a",
      failures: { a: failed(300), b: failed(200), c: failed(250) },
      order: ["b", "c", "a"],
    },
    { state: "the time of a is up", favourite: undefined, failures: { a: failed(100) }, order: ["a", "b", "c"] },
    { state: "an unknown one is favourite", favourite: "x", failures: {}, order: ["a", "b", "c"] },
  ])("$state -> $order", ({ favourite, failures, order }) => {
    const records = { favourite, failures: new Map(Object.entries(failures)) };
    expect(orderEndpoints(["a", "b", "c"], records, 100)).toEqual(order);
  });

  it("law: it leaves nothing out and adds nothing", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string(), { maxLength: 10 }),
        fc.dictionary(fc.string(), fc.nat(200)),
        fc.option(fc.string(), { nil: undefined }),
        (endpoints, until, favourite) => {
          const failures = new Map(Object.entries(until).map(([endpoint, untilMs]) => [endpoint, failed(untilMs)]));
          const order = orderEndpoints(endpoints, { favourite, failures }, 100);
          expect(order.toSorted()).toEqual(endpoints.toSorted());
        },
      ),
    );
  });
});

describe("createEndpointRotation", () => {
  it("puts an endpoint last for longer with each failure in a row, until it works", async () => {
    const clock = new FakeClock();
    const rotation = createEndpointRotation(clock, seededRandom(1));
    const list = ["a", "b"];
    rotation.failed("a");
    await clock.advance(499);
    expect(rotation.order(list)).toEqual(["b", "a"]);
    await clock.advance(501);
    expect(rotation.order(list)).toEqual(["a", "b"]);
    rotation.failed("a");
    await clock.advance(999);
    expect(rotation.order(list)).toEqual(["b", "a"]);
    rotation.worked("a");
    expect(rotation.order(list)).toEqual(["a", "b"]);
  });

  it("forgets the failures of an endpoint that went and came back", () => {
    const rotation = createEndpointRotation(new FakeClock(), seededRandom(1));
    rotation.failed("a");
    rotation.order(["b"]);
    expect(rotation.order(["a", "b"])).toEqual(["a", "b"]);
  });
});
