import { describe, expect, it } from "vitest";
import { simulateCalls } from "./simulate-calls.ts";

describe("simulateCalls", () => {
  it("is the same for the same seed, another for another", async () => {
    const first = await simulateCalls(300, 1, () => []);
    expect(await simulateCalls(300, 1, () => [])).toEqual(first);
    expect(await simulateCalls(300, 2, () => [])).not.toEqual(first);
  });

  it("has a p99 that the slow 3 % make, and no more load than calls", async () => {
    const { p99Ms, load } = await simulateCalls(2_000, 1, () => []);
    expect(p99Ms).toBeGreaterThan(100);
    expect(p99Ms).toBeLessThanOrEqual(300);
    expect(load).toBe(1);
  });

  it("counts every call that reaches a backend", async () => {
    const twice = await simulateCalls(100, 1, () => [
      (next) => async (request) => {
        await next(request);
        return next(request);
      },
    ]);
    expect(twice.load).toBe(2);
  });

  it("runs interceptors on its clock and its chance", async () => {
    const slower = await simulateCalls(100, 1, ({ clock, random }) => [
      (next) => async (request) => {
        await clock.sleep(1_000 * (1 + random()));
        return next(request);
      },
    ]);
    expect(slower.p99Ms).toBeGreaterThan(1_000);
  });

  it.each([
    {
      name: "that fails",
      message: "broken",
      interceptor: () => () => Promise.reject(new Error("broken")),
    },
    {
      name: "that never ends",
      message: "not every call has ended",
      interceptor: () => () => new Promise<never>(() => {}),
    },
  ])("refuses a call $name", async ({ interceptor, message }) => {
    await expect(simulateCalls(10, 1, () => [interceptor])).rejects.toThrow(message);
  });

  it("refuses a timer that is left behind", async () => {
    const run = simulateCalls(10, 1, ({ clock }) => [
      (next) => (request) => {
        void clock.sleep(1e9);
        return next(request);
      },
    ]);
    await expect(run).rejects.toThrow("a timer was left behind");
  });
});
