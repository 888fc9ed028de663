import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { afterHedgeEvent, firstAttempt, type HedgedCallState, type HedgeEvent } from "./hedging-state.ts";
import type { RetryDelay } from "./retry-delay.ts";

const open = (started: number, running: number, mayHedge: boolean): HedgedCallState => ({
  kind: "open",
  started,
  running,
  mayHedge,
});
const settled: HedgedCallState = { kind: "settled" };

const due = (granted: boolean): HedgeEvent => ({ kind: "due", granted });
const failed = (fatal: boolean, pushback: RetryDelay = { kind: "none" }): HedgeEvent => ({
  kind: "failed",
  fatal,
  pushback,
});
const never: RetryDelay = { kind: "never" };
const after: RetryDelay = { kind: "after", ms: 7 };
const answered: HedgeEvent = { kind: "answered" };
const aborted: HedgeEvent = { kind: "aborted" };

describe("firstAttempt", () => {
  it("may be hedged if there may be more than one", () => {
    expect(firstAttempt(2)).toEqual(open(1, 1, true));
    expect(firstAttempt(1)).toEqual(open(1, 1, false));
  });
});

describe("afterHedgeEvent", () => {
  it.each([
    {
      title: "due, granted",
      from: open(1, 1, true),
      event: due(true),
      to: open(2, 2, true),
      effect: { kind: "start" },
    },
    {
      title: "due, the last",
      from: open(2, 1, true),
      event: due(true),
      to: open(3, 2, false),
      effect: { kind: "start" },
    },
    {
      title: "due, denied",
      from: open(1, 1, true),
      event: due(false),
      to: open(1, 1, false),
      effect: { kind: "none" },
    },
    {
      title: "due, too late",
      from: open(2, 1, false),
      event: due(true),
      to: open(2, 1, false),
      effect: { kind: "none" },
    },
    { title: "answered", from: open(2, 2, true), event: answered, to: settled, effect: { kind: "settle" } },
    { title: "aborted", from: open(2, 2, true), event: aborted, to: settled, effect: { kind: "settle" } },
    { title: "a fatal error", from: open(2, 2, true), event: failed(true), to: settled, effect: { kind: "settle" } },
    {
      title: "fatal, says never",
      from: open(2, 2, true),
      event: failed(true, never),
      to: settled,
      effect: { kind: "settle" },
    },
    {
      title: "the last one failed",
      from: open(2, 1, true),
      event: failed(false),
      to: settled,
      effect: { kind: "settle" },
    },
    {
      title: "another runs",
      from: open(2, 2, true),
      event: failed(false),
      to: open(2, 1, true),
      effect: { kind: "none" },
    },
    {
      title: "says never",
      from: open(2, 2, true),
      event: failed(false, never),
      to: open(2, 1, false),
      effect: { kind: "stop" },
    },
    {
      title: "says later",
      from: open(2, 2, true),
      event: failed(false, after),
      to: open(2, 1, true),
      effect: { kind: "postpone", ms: 7 },
    },
    {
      title: "says later, no hedge is left",
      from: open(3, 2, false),
      event: failed(false, after),
      to: open(3, 1, false),
      effect: { kind: "none" },
    },
    ...[due(true), answered, aborted, failed(true), failed(false, never)].map((event) => ({
      title: `settled, ${event.kind}`,
      from: settled,
      event,
      to: settled,
      effect: { kind: "none" },
    })),
  ])("$title", ({ from, event, to, effect }) => {
    expect(afterHedgeEvent(from, event, 3)).toEqual({ state: to, effect });
  });
});

describe("laws of a hedged call", () => {
  const anyPushback = fc.constantFrom<RetryDelay>({ kind: "none" }, never, after);
  const anyEvent = fc.oneof(
    fc.boolean().map(due),
    fc.tuple(fc.boolean(), anyPushback).map(([fatal, pushback]) => failed(fatal, pushback)),
    fc.constant(answered),
    fc.constant(aborted),
  );

  it("settles once, starts no more than maxAttempts, and none after an end or a never", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(anyEvent, { maxLength: 30 }), (maxAttempts, events) => {
        let state = firstAttempt(maxAttempts);
        let started = 1;
        let settledTimes = 0;
        let isOver = false;
        for (const event of events) {
          const { state: next, effect } = afterHedgeEvent(state, event, maxAttempts);
          state = next;
          if (effect.kind === "start") started += 1;
          expect(effect.kind === "start" && isOver).toBe(false);
          if (effect.kind === "settle") settledTimes += 1;
          isOver ||= effect.kind === "settle" || (event.kind === "failed" && event.pushback.kind === "never");
          expect(state.kind === "settled").toBe(settledTimes > 0);
          expect(state.kind === "settled" || state.running >= 1).toBe(true);
        }
        expect(started).toBeLessThanOrEqual(maxAttempts);
        expect(settledTimes).toBeLessThanOrEqual(1);
      }),
      { numRuns: 1_000 },
    );
  });
});
