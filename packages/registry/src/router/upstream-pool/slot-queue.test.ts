import { FakeClock } from "@cpg/resilience/testing";
import { expect, it } from "vitest";
import { createSlotQueue } from "./slot-queue.ts";
import { UnsentError } from "./unsent-error.ts";

function setUp() {
  const clock = new FakeClock();
  const queue = createSlotQueue<string>({
    clock,
    timeoutMs: 100,
    onTimeout: () => new UnsentError("busy", "too long"),
  });
  return { clock, queue };
}

it("slots go to those who wait in their order", async () => {
  const { clock, queue } = setUp();
  const waits = [queue.wait(), queue.wait()];
  expect(queue.length).toBe(2);
  queue.give("first");
  queue.give("second");
  expect(await Promise.all(waits)).toEqual(["first", "second"]);
  expect([queue.length, clock.pending]).toEqual([0, 0]);
});

it("who waits too long is told so and waits no more; the others stay", async () => {
  const { clock, queue } = setUp();
  const first = expect(queue.wait()).rejects.toThrow("too long");
  await clock.advance(50);
  const second = queue.wait();
  await clock.advance(50);
  await first;
  expect(queue.length).toBe(1);
  queue.give("late");
  expect(await second).toBe("late");
  expect(clock.pending).toBe(0);
});

it("all who wait can be refused at once", async () => {
  const { clock, queue } = setUp();
  const waits = [queue.wait(), queue.wait()].map((wait) => expect(wait).rejects.toThrow("gone"));
  queue.fail(new Error("gone"));
  await Promise.all(waits);
  expect([queue.length, clock.pending]).toEqual([0, 0]);
});
