import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { FakeClock } from "../testing/index.ts";
import { timedSignal, unlessAborted } from "./timed-signal.ts";

const late = new Error("late");

function setUp(ms = 50) {
  const clock = new FakeClock();
  const parent = new AbortController();
  const timed = timedSignal(parent.signal, ms, clock, () => late);
  const left = () => [clock.pending, getEventListeners(parent.signal, "abort").length];
  return { clock, parent, timed, left };
}

describe("timedSignal", () => {
  it("aborts when the time is up, and leaves nothing", async () => {
    const { clock, timed, left } = setUp();
    await clock.advance(49);
    expect(timed.signal.aborted).toBe(false);
    await clock.advance(1);
    expect([timed.signal.reason, left()]).toEqual([late, [0, 0]]);
  });

  it("aborts with its parent, for its reason, and leaves nothing", async () => {
    const { clock, parent, timed, left } = setUp();
    const reason = new Error("enough");
    parent.abort(reason);
    expect([timed.signal.reason, left()]).toEqual([reason, [0, 0]]);
    await clock.advance(100);
    expect(timed.signal.reason).toBe(reason);
  });

  it("is aborted from the beginning with a parent that is", () => {
    const clock = new FakeClock();
    const reason = new Error("enough");
    expect(timedSignal(AbortSignal.abort(reason), 50, clock, () => late).signal.reason).toBe(reason);
    expect(clock.pending).toBe(0);
  });

  it("without timer still aborts with its parent", async () => {
    const { clock, parent, timed, left } = setUp();
    timed.stopTimer();
    await clock.advance(100);
    expect([timed.signal.aborted, left()]).toEqual([false, [0, 1]]);
    parent.abort(late);
    expect([timed.signal.reason, left()]).toEqual([late, [0, 0]]);
  });

  it("closed leaves nothing, however often, and is aborted for those who still look", () => {
    const { timed, left } = setUp();
    timed.close();
    timed.close();
    expect([timed.signal.aborted, left()]).toEqual([true, [0, 0]]);
  });

  it("stopped in the very moment in which time is up does not abort", async () => {
    const { clock, timed } = setUp();
    clock.sleep(50).then(
      () => {},
      () => {},
    );
    const turn = clock.advance(50);
    timed.stopTimer();
    await turn;
    expect(timed.signal.aborted).toBe(false);
  });
});

describe("unlessAborted", () => {
  it.each([
    { title: "resolves", work: () => Promise.resolve("done"), result: { status: "fulfilled", value: "done" } },
    { title: "rejects", work: () => Promise.reject(late), result: { status: "rejected", reason: late } },
  ])("$title with the work, and leaves no listener", async ({ work, result }) => {
    const { signal } = new AbortController();
    const [settled] = await Promise.allSettled([unlessAborted(work(), signal)]);
    expect([settled, getEventListeners(signal, "abort")]).toEqual([result, []]);
  });

  it("rejects with the reason of the signal, without waiting for the work", async () => {
    const controller = new AbortController();
    const work = unlessAborted(new Promise(() => {}), controller.signal);
    controller.abort(late);
    await expect(work).rejects.toBe(late);
    await expect(unlessAborted(new Promise(() => {}), controller.signal)).rejects.toBe(late);
    await expect(unlessAborted(Promise.reject(new Error("too")), controller.signal)).rejects.toBe(late);
  });
});
