import { FakeClock } from "@cpg/resilience/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createDrain } from "./drain.ts";

/** A target that closes when it is cut, or when the test says so. */
function createTarget(inFlight: number) {
  const clock = new FakeClock();
  const closed = Promise.withResolvers<void>();
  const log: string[] = [];
  const target = {
    inFlight,
    retire() {
      log.push("retire");
      return closed.promise;
    },
    cut() {
      log.push(`cut at ${clock.monotonic()}`);
      closed.resolve();
      return target.inFlight;
    },
  };
  return { clock, log, target, close: closed.resolve, drain: createDrain(target, clock) };
}

describe("createDrain", () => {
  it("cuts when the grace is over", async () => {
    const { clock, log, drain } = createTarget(3);
    const result = drain.start(500);
    await clock.advance(1_000);
    await expect(result).resolves.toEqual({ cut: 3 });
    expect([log, clock.pending]).toEqual([["retire", "cut at 500"], 0]);
  });

  it("cuts nothing when everything closes by itself", async () => {
    const { clock, log, drain, close } = createTarget(3);
    const result = drain.start(500);
    close();
    await expect(result).resolves.toEqual({ cut: 0 });
    await clock.advance(1_000);
    expect([log, clock.pending]).toEqual([["retire"], 0]);
  });

  it("gives peers without calls a second to answer", async () => {
    const { clock, log, target, drain } = createTarget(1);
    const result = drain.start(30_000);
    await clock.advance(10_000);
    target.inFlight = 0;
    drain.onIdle();
    await clock.advance(999);
    expect(log).toEqual(["retire"]);
    await clock.advance(1);
    await expect(result).resolves.toEqual({ cut: 0 });
    expect(clock.pending).toBe(0);
  });

  it("waits on when a call comes after all", async () => {
    const { clock, log, target, drain } = createTarget(0);
    const result = drain.start(30_000);
    target.inFlight = 1;
    await clock.advance(29_999);
    expect(log).toEqual(["retire"]);
    await clock.advance(1);
    await expect(result).resolves.toEqual({ cut: 1 });
  });

  it("does nothing when it is idle before it begins or after it has ended", async () => {
    const { clock, log, drain } = createTarget(0);
    drain.onIdle();
    expect(clock.pending).toBe(0);
    await drain.start(0);
    drain.onIdle();
    await drain.start(500);
    expect([log, clock.pending]).toEqual([["retire", "cut at 0"], 0]);
  });

  it("law: it cuts once, at the earliest end of all graces", async () => {
    const starts = fc.array(fc.record({ afterMs: fc.nat(50), graceMs: fc.nat(200) }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(starts, async (all) => {
        const { clock, log, drain } = createTarget(1);
        let ends = Number.POSITIVE_INFINITY;
        for (const { afterMs, graceMs } of all) {
          await clock.advance(afterMs);
          ends = Math.min(ends, clock.monotonic() + graceMs);
          void drain.start(graceMs);
        }
        await clock.advance(300);
        expect([log, clock.pending]).toEqual([["retire", `cut at ${ends}`], 0]);
      }),
      { numRuns: 50 },
    );
  });
});
