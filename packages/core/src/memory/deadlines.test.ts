import type { Clock } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createDeadlines, type Deadlines, Timed } from "./deadlines.ts";

class Expiring extends Timed {
  readonly expiredMs: number[] = [];
  readonly #clock: Clock;
  constructor(clock: Clock, timeoutMs: number | undefined) {
    super(timeoutMs);
    this.#clock = clock;
  }
  override expire(): void {
    this.expiredMs.push(this.#clock.monotonic());
  }
}

/** As a call does: it begins somewhere, and is watched from a microtask. */
function begin(deadlines: Deadlines, clock: Clock, timeoutMs: number | undefined): Expiring {
  const timed = new Expiring(clock, timeoutMs);
  deadlines.begin(timed);
  void Promise.resolve().then(() => deadlines.watch());
  return timed;
}

const turn = () => new Promise<void>((resolve) => void setImmediate(resolve));

describe("deadlines", () => {
  it("what ends in the microtasks in which it began starts no timer and reads no clock", async () => {
    let looks = 0;
    const counting: Clock = {
      now: () => 0,
      monotonic: () => ++looks,
      sleep: () => Promise.reject(new Error("no timer is needed")),
    };
    const deadlines = createDeadlines(counting);
    for (let call = 0; call < 100; call++) {
      const timed = begin(deadlines, counting, 1_000);
      await undefined;
      await undefined;
      deadlines.end(timed);
    }
    expect(looks).toBe(0);
    expect(deadlines.list()).toEqual([]);
    await turn();
    expect(looks).toBeLessThanOrEqual(1); // the look at the end of the microtasks, for those that might be left
  });

  it.each([
    { what: "at once", startMs: 0 },
    { what: "by what another timer has woken, while time goes on", startMs: 50 },
  ])("a deadline begun $what is reached exactly, once", async ({ startMs }) => {
    const clock = new FakeClock();
    const deadlines = createDeadlines(clock);
    const begun = Promise.withResolvers<Expiring>();
    void clock.sleep(startMs).then(() => begun.resolve(begin(deadlines, clock, 100)));
    await clock.advance(startMs + 1_000);
    const timed = await begun.promise;
    expect(timed.expiredMs).toEqual([startMs + 100]);
    deadlines.end(timed);
    await clock.advance(1_000);
    expect(timed.expiredMs).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it("none is early", async () => {
    const clock = new FakeClock();
    const deadlines = createDeadlines(clock);
    const timed = begin(deadlines, clock, 100);
    await clock.advance(99);
    expect(timed.expiredMs).toEqual([]);
    await clock.advance(1);
    expect(timed.expiredMs).toEqual([100]);
  });

  it("those due together are reached in their order", async () => {
    const clock = new FakeClock();
    const deadlines = createDeadlines(clock);
    const order: number[] = [];
    for (const number of [1, 2, 3]) {
      const timed = begin(deadlines, clock, 10);
      timed.expire = () => order.push(number);
    }
    await clock.advance(10);
    expect(order).toEqual([1, 2, 3]);
  });

  it("the time that is left counts from the first look, or from the end of the microtasks", async () => {
    const clock = new FakeClock();
    const deadlines = createDeadlines(clock);
    const timed = begin(deadlines, clock, 100);
    expect(deadlines.leftMs(timed)).toBe(100);
    await clock.advance(30);
    expect(deadlines.leftMs(timed)).toBe(70);
    const endless = begin(deadlines, clock, undefined);
    expect(deadlines.leftMs(endless)).toBe(undefined);
    await clock.advance(100);
    expect(timed.expiredMs).toEqual([100]);
    expect(endless.expiredMs).toEqual([]);
  });

  it("what ends later stops its timer; to end twice, or without having begun, does nothing", async () => {
    const clock = new FakeClock();
    const deadlines = createDeadlines(clock);
    const [first, second, third] = [1, 2, 3].map(() => begin(deadlines, clock, 100));
    await clock.advance(1);
    expect(clock.pending).toBe(3);
    for (const timed of [second, second, new Expiring(clock, 5)]) if (timed) deadlines.end(timed);
    expect(deadlines.list()).toEqual([first, third]);
    await turn();
    expect(clock.pending).toBe(2);
    await clock.advance(200);
    expect(second?.expiredMs).toEqual([]);
    expect(first?.expiredMs).toEqual([100]);
  });

  it("the list holds what has begun and not ended, in order, whatever ends when, and each of it expires", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ ends: fc.nat({ max: 20 }), turns: fc.boolean(), bounded: fc.boolean() }), {
          maxLength: 20,
        }),
        async (steps) => {
          const clock = new FakeClock();
          const deadlines = createDeadlines(clock);
          const model: Expiring[] = [];
          for (const { ends, turns, bounded } of steps) {
            model.push(begin(deadlines, clock, bounded ? 100 : undefined));
            const ended = model[ends];
            if (ended !== undefined) {
              deadlines.end(ended);
              model.splice(ends, 1);
            }
            if (turns) await turn();
            expect(deadlines.list()).toEqual(model);
          }
          await clock.advance(100);
          expect(model.map(({ expiredMs }) => expiredMs)).toEqual(
            model.map(({ timeoutMs }) => (timeoutMs === undefined ? [] : [100])),
          );
        },
      ),
      { numRuns: 100 },
    );
  });
});
