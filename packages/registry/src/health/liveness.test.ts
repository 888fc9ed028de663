import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { afterSign, hide, isGone, type Liveness, type LivenessEvent, presumedAlive } from "./liveness.ts";

const rules = { misses: 2, window: 3 };
const alive = (...recent: boolean[]): Liveness => ({ kind: "alive", recent });
const silent: Liveness = { kind: "silent", hidden: false };
const hidden: Liveness = { kind: "silent", hidden: true };
const dead: Liveness = { kind: "dead", proof: "refused" };

describe("liveness", () => {
  it.each<{ readonly from: Liveness; readonly event: LivenessEvent; readonly to: Liveness }>([
    { from: presumedAlive, event: "answered", to: alive(false) },
    { from: alive(true, false, false), event: "answered", to: alive(false, false, false) },
    { from: presumedAlive, event: "timed-out", to: alive(true) },
    { from: alive(true, false, false), event: "timed-out", to: alive(false, false, true) },
    { from: alive(true), event: "timed-out", to: silent },
    { from: alive(false, true, false), event: "timed-out", to: silent },
    { from: presumedAlive, event: "refused", to: dead },
    { from: presumedAlive, event: "reset", to: { kind: "dead", proof: "reset" } },
    { from: silent, event: "answered", to: presumedAlive },
    { from: hidden, event: "answered", to: presumedAlive },
    { from: silent, event: "timed-out", to: silent },
    { from: hidden, event: "timed-out", to: hidden },
    { from: hidden, event: "refused", to: dead },
    { from: silent, event: "refused", to: dead },
    { from: dead, event: "answered", to: presumedAlive },
    { from: dead, event: "timed-out", to: dead },
    { from: dead, event: "reset", to: dead },
  ])("$from + $event -> $to", ({ from, event, to }) => {
    expect(afterSign(from, event, rules)).toEqual(to);
  });

  it.each([
    { from: silent, to: hidden },
    { from: hidden, to: hidden },
    { from: dead, to: dead },
    { from: presumedAlive, to: presumedAlive },
  ])("$from + hide -> $to", ({ from, to }) => {
    expect(hide(from)).toEqual(to);
  });

  it("counts as gone when dead, or silent and hidden", () => {
    expect([presumedAlive, silent, hidden, dead].map(isGone)).toEqual([false, false, true, true]);
  });

  const event = fc.constantFrom<LivenessEvent>("answered", "timed-out", "refused", "reset");
  const anyRules = fc
    .record({ misses: fc.integer({ min: 1, max: 5 }), more: fc.nat(3) })
    .map(({ misses, more }) => ({ misses, window: misses + more }));

  it("is alive after each good probe and dead after each proof, and remembers no more than its window", () => {
    fc.assert(
      fc.property(anyRules, fc.array(event, { maxLength: 40 }), (some, events) => {
        let state: Liveness = presumedAlive;
        for (const next of events) {
          state = afterSign(state, next, some);
          const expected = { answered: ["alive"], refused: ["dead"], reset: ["dead"], "timed-out": [state.kind] }[next];
          expect(expected).toContain(state.kind);
          expect(state.kind === "alive" ? state.recent.length : 0).toBeLessThanOrEqual(some.window);
        }
      }),
    );
  });

  it("is silent only after so many time-outs within the window", () => {
    fc.assert(
      fc.property(
        anyRules,
        fc.array(fc.constantFrom<LivenessEvent>("answered", "timed-out"), { maxLength: 40 }),
        (some, events) => {
          let state: Liveness = presumedAlive;
          let since: boolean[] = [];
          for (const next of events) {
            const before = state.kind;
            state = afterSign(state, next, some);
            since = before === "silent" && next === "answered" ? [] : [...since, next === "timed-out"];
            const missed = since.slice(-some.window).filter(Boolean).length;
            const isSilent = before === "silent" ? next === "timed-out" : missed >= some.misses;
            expect(state.kind).toBe(isSilent ? "silent" : "alive");
          }
        },
      ),
    );
  });
});
