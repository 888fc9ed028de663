import { getEventListeners } from "node:events";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { systemClock } from "./clock.ts";

const dayMs = 86_400_000;

/** What has happened to a promise so far. */
function watch(promise: Promise<void>): { state: "pending" | "resolved" | "rejected"; reason: unknown } {
  const seen: ReturnType<typeof watch> = { state: "pending", reason: undefined };
  promise.then(
    () => {
      seen.state = "resolved";
    },
    (reason: unknown) => {
      seen.state = "rejected";
      seen.reason = reason;
    },
  );
  return seen;
}

describe("systemClock.sleep", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("sets no timer with a negative delay, of which Node warns, when the process is held up in between", () => {
    const setTimer = vi.spyOn(globalThis, "setTimeout");
    vi.spyOn(performance, "now").mockReturnValueOnce(0).mockReturnValueOnce(5);
    void systemClock.sleep(1);
    expect(setTimer.mock.calls.map(([, ms]) => ms)).toEqual([0]);
    vi.restoreAllMocks();
  });

  it.each([
    { ms: 1, justBefore: 0 },
    { ms: 1_000, justBefore: 999 },
    { ms: 2 ** 31 - 1, justBefore: 2 ** 31 - 2 },
    { ms: 2 ** 31, justBefore: 2 ** 31 - 1 },
    { ms: 60 * dayMs, justBefore: 60 * dayMs - 1 },
  ])("resolves after $ms ms and not before", async ({ ms, justBefore }) => {
    const sleep = watch(systemClock.sleep(ms));
    await vi.advanceTimersByTimeAsync(justBefore);
    expect(sleep.state).toBe("pending");
    await vi.advanceTimersByTimeAsync(ms - justBefore);
    expect(sleep.state).toBe("resolved");
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([0, -1, Number.NEGATIVE_INFINITY])("takes %d as 0", async (ms) => {
    const sleep = watch(systemClock.sleep(ms));
    await vi.advanceTimersByTimeAsync(1);
    expect(sleep.state).toBe("resolved");
  });

  it("waits on when the timer of the system is early", async () => {
    const started = performance.now();
    const sleep = watch(systemClock.sleep(10));
    const now = vi.spyOn(performance, "now").mockReturnValueOnce(started + 9.4);
    await vi.advanceTimersByTimeAsync(10);
    expect(sleep.state).toBe("pending");
    now.mockRestore();
    await vi.advanceTimersByTimeAsync(1);
    expect(sleep.state).toBe("resolved");
  });

  it("refuses NaN", async () => {
    await expect(systemClock.sleep(Number.NaN)).rejects.toThrow(new RangeError("ms must be a number, got NaN"));
    expect(vi.getTimerCount()).toBe(0);
  });

  it("waits for the signal when told to wait for ever", async () => {
    const controller = new AbortController();
    const sleep = watch(systemClock.sleep(Number.POSITIVE_INFINITY, controller.signal));
    await vi.advanceTimersByTimeAsync(100 * dayMs);
    expect(sleep.state).toBe("pending");
    controller.abort();
    await vi.advanceTimersByTimeAsync(0);
    expect(sleep.state).toBe("rejected");
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    { name: "of a short sleep", ms: 10 },
    { name: "between two timers of a long one", ms: 60 * dayMs },
  ])("an abort in the middle $name rejects with its reason and leaves nothing behind", async ({ ms }) => {
    const controller = new AbortController();
    const sleep = watch(systemClock.sleep(ms, controller.signal));
    await vi.advanceTimersByTimeAsync(ms / 2);
    const reason = new Error("enough");
    controller.abort(reason);
    await vi.advanceTimersByTimeAsync(0);
    expect(sleep).toEqual({ state: "rejected", reason });
    expect(vi.getTimerCount()).toBe(0);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });

  it("rejects at once with the reason of a signal that is already aborted", async () => {
    const reason = new Error("too late");
    const signal = AbortSignal.abort(reason);
    await expect(systemClock.sleep(1_000, signal)).rejects.toBe(reason);
    expect(vi.getTimerCount()).toBe(0);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("leaves no listener on a signal that outlives it, and does not mind a later abort", async () => {
    const controller = new AbortController();
    const sleep = watch(systemClock.sleep(5, controller.signal));
    await vi.advanceTimersByTimeAsync(5);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    controller.abort();
    await vi.advanceTimersByTimeAsync(0);
    expect(sleep.state).toBe("resolved");
  });
});

describe("systemClock", () => {
  it("tells the wall time with now() and a time that never goes back with monotonic()", () => {
    const readings = Array.from({ length: 1_000 }, () => systemClock.monotonic());
    expect(readings).toEqual(readings.toSorted((a, b) => a - b));
    expect(new Date(systemClock.now()).getUTCFullYear()).toBeGreaterThan(2024);
  });
});
