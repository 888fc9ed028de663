import { getEventListeners } from "node:events";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FakeClock } from "./fake-clock.ts";

describe("FakeClock", () => {
  it("stands still until it is advanced; wall time and monotonic time move together", async () => {
    const clock = new FakeClock(5_000);
    expect([clock.now(), clock.monotonic()]).toEqual([5_000, 0]);
    await clock.advance(250);
    expect([clock.now(), clock.monotonic()]).toEqual([5_250, 250]);
  });

  it("wakes sleepers in the order in which they are due, each at its own time", async () => {
    const clock = new FakeClock();
    const log: string[] = [];
    for (const ms of [30, 10, 20, 10]) void clock.sleep(ms).then(() => log.push(`${ms} at ${clock.monotonic()}`));
    await clock.advance(25);
    expect(log).toEqual(["10 at 10", "10 at 10", "20 at 20"]);
    expect(clock.pending).toBe(1);
    expect(clock.nextDueMs).toBe(5);
  });

  it("lets what a sleeper starts happen before the next one wakes, sleeps included", async () => {
    const clock = new FakeClock();
    const log: string[] = [];
    const chain = async () => {
      for (let step = 1; step <= 3; step++) {
        await clock.sleep(10);
        for (let turn = 0; turn < 50; turn++) await Promise.resolve();
        log.push(`step ${step} at ${clock.monotonic()}`);
      }
    };
    const chained = chain();
    const other = clock.sleep(15).then(() => log.push(`other at ${clock.monotonic()}`));
    await clock.advance(30);
    await Promise.all([chained, other]);
    expect(log).toEqual(["step 1 at 10", "other at 15", "step 2 at 20", "step 3 at 30"]);
    expect(clock.pending).toBe(0);
  });

  it.each([0, -5])("wakes a sleep of %d with the next advance, even by 0", async (ms) => {
    const clock = new FakeClock();
    const sleep = clock.sleep(ms);
    await clock.advance(0);
    await expect(sleep).resolves.toBeUndefined();
  });

  it("refuses NaN as systemClock does", async () => {
    const clock = new FakeClock();
    await expect(clock.sleep(Number.NaN)).rejects.toThrow(new RangeError("ms must be a number, got NaN"));
    expect(clock.pending).toBe(0);
  });

  it("rejects with the reason of the signal and forgets the sleep", async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    const sleep = clock.sleep(10, controller.signal);
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(sleep).rejects.toBe(reason);
    expect(clock.pending).toBe(0);
    await expect(clock.sleep(10, controller.signal)).rejects.toBe(reason);
    expect(clock.pending).toBe(0);
  });

  it("leaves no listener on the signal of a sleep that ended", async () => {
    const clock = new FakeClock();
    const { signal } = new AbortController();
    const sleep = clock.sleep(10, signal);
    await clock.advance(10);
    await sleep;
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("tells with waitForSleep and nextSleep when the code under test is asleep", async () => {
    const clock = new FakeClock();
    const log: string[] = [];
    const two = clock.waitForSleep(2).then(() => log.push("two asleep"));
    const next = clock.nextSleep().then(() => log.push("one fell asleep"));
    void clock.sleep(10);
    await next;
    expect(log).toEqual(["one fell asleep"]);
    void clock.sleep(10);
    await two;
    expect(log).toEqual(["one fell asleep", "two asleep"]);
    await expect(clock.waitForSleep(2)).resolves.toBeUndefined();
  });

  it("refuses to go back", async () => {
    await expect(new FakeClock().advance(-1)).rejects.toThrow(new RangeError("ms must be at least 0, got -1"));
  });

  it("law: everyone wakes when due, in order, however the time is cut into pieces", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(100), { maxLength: 15 }),
        fc.array(fc.nat(40), { maxLength: 6 }),
        async (sleeps, steps) => {
          const clock = new FakeClock();
          const woken: { ms: number; at: number }[] = [];
          for (const ms of sleeps) void clock.sleep(ms).then(() => woken.push({ ms, at: clock.monotonic() }));
          for (const step of steps) await clock.advance(step);
          const total = steps.reduce((sum, step) => sum + step, 0);
          const due = sleeps.filter((ms) => steps.length > 0 && ms <= total).toSorted((a, b) => a - b);
          expect(woken).toEqual(due.map((ms) => ({ ms, at: ms })));
          expect(clock.pending).toBe(sleeps.length - due.length);
        },
      ),
      { numRuns: 50 },
    );
  });
});
