import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { createAlarm } from "./alarm.ts";

describe("an alarm", () => {
  it("ends a wait after its time", async () => {
    const clock = new FakeClock();
    const waiting = createAlarm(clock).wait(1_000, new AbortController().signal);
    await clock.advance(999);
    expect(clock.pending).toBe(1);
    await clock.advance(1);
    await waiting;
  });

  it("ends the wait that is under way, and not the next", async () => {
    const clock = new FakeClock();
    const alarm = createAlarm(clock);
    const { signal } = new AbortController();
    const waiting = alarm.wait(1_000, signal);
    alarm.ring();
    await waiting;
    expect(clock.pending).toBe(0);
    const next = alarm.wait(1_000, signal);
    expect(clock.pending).toBe(1);
    await clock.advance(1_000);
    await next;
  });

  it("that rang while nobody waited ends the next wait at once, however often it rang", async () => {
    const clock = new FakeClock();
    const alarm = createAlarm(clock);
    const { signal } = new AbortController();
    alarm.ring();
    alarm.ring();
    await alarm.wait(1_000, signal);
    expect(clock.monotonic()).toBe(0);
    const next = alarm.wait(1_000, signal);
    expect(clock.pending).toBe(1);
    await clock.advance(1_000);
    await next;
  });

  it("rejects with the reason of the signal, and leaves nothing behind", async () => {
    const clock = new FakeClock();
    const alarm = createAlarm(clock);
    const stop = new AbortController();
    const waiting = expect(alarm.wait(1_000, stop.signal)).rejects.toBe("enough");
    stop.abort("enough");
    await waiting;
    expect(clock.pending).toBe(0);
    await expect(alarm.wait(1_000, stop.signal)).rejects.toBe("enough");
  });
});
