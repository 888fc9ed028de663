import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RetryDelay } from "./retry-delay.ts";
import { type FailedAttempt, type RetryStep, stepAfterFailure } from "./retry-step.ts";

const failed: FailedAttempt = {
  attempt: 1,
  maxAttempts: 3,
  aborted: false,
  retryable: true,
  pushback: { kind: "none" },
  maxPushbackMs: 1_000,
  budgetLeft: true,
  backoffMs: 100,
  remainingMs: Infinity,
};
const retry = (delayMs: number): RetryStep => ({ kind: "retry", delayMs });
const after = (ms: number): RetryDelay => ({ kind: "after", ms });

describe("stepAfterFailure", () => {
  it.each<{ change: Partial<FailedAttempt>; step: RetryStep }>([
    { change: {}, step: retry(100) },
    { change: { attempt: 2 }, step: retry(100) },
    { change: { backoffMs: 0 }, step: retry(0) },
    { change: { remainingMs: 100.1 }, step: retry(100) },
    { change: { pushback: after(0) }, step: retry(0) },
    { change: { pushback: after(1_000) }, step: retry(1_000) },
    { change: { aborted: true }, step: { kind: "give-up", why: "aborted" } },
    { change: { aborted: true, retryable: false }, step: { kind: "give-up", why: "aborted" } },
    { change: { retryable: false }, step: { kind: "give-up", why: "not-retryable" } },
    {
      change: { retryable: false, pushback: { kind: "never" } },
      step: { kind: "give-up", why: "not-retryable" },
    },
    { change: { pushback: { kind: "never" } }, step: { kind: "give-up", why: "pushback" } },
    { change: { pushback: after(1_001) }, step: { kind: "give-up", why: "pushback" } },
    { change: { pushback: { kind: "never" }, attempt: 3 }, step: { kind: "give-up", why: "pushback" } },
    { change: { attempt: 3 }, step: { kind: "give-up", why: "attempts" } },
    { change: { attempt: 3, budgetLeft: false }, step: { kind: "give-up", why: "attempts" } },
    { change: { maxAttempts: 1 }, step: { kind: "give-up", why: "attempts" } },
    { change: { budgetLeft: false }, step: { kind: "give-up", why: "budget" } },
    { change: { budgetLeft: false, remainingMs: 0 }, step: { kind: "give-up", why: "budget" } },
    { change: { remainingMs: 100 }, step: { kind: "give-up", why: "deadline" } },
    { change: { pushback: after(500), remainingMs: 500 }, step: { kind: "give-up", why: "deadline" } },
    { change: { backoffMs: 0, remainingMs: 0 }, step: { kind: "give-up", why: "deadline" } },
    { change: { remainingMs: -1 }, step: { kind: "give-up", why: "deadline" } },
  ])("$change -> $step", ({ change, step }) => {
    expect(stepAfterFailure({ ...failed, ...change })).toEqual(step);
  });

  it("law: it waits only for what is allowed, and never beyond the deadline", () => {
    const pushback = fc.oneof(
      fc.constant<RetryDelay>({ kind: "none" }),
      fc.constant<RetryDelay>({ kind: "never" }),
      fc.nat(2_000).map(after),
    );
    const any = fc.record({
      attempt: fc.integer({ min: 1, max: 6 }),
      maxAttempts: fc.integer({ min: 1, max: 6 }),
      aborted: fc.boolean(),
      retryable: fc.boolean(),
      pushback,
      maxPushbackMs: fc.nat(2_000),
      budgetLeft: fc.boolean(),
      backoffMs: fc.nat(2_000),
      remainingMs: fc.integer({ min: -10, max: 3_000 }),
    });
    fc.assert(
      fc.property(any, (attempt) => {
        const step = stepAfterFailure(attempt);
        const allowed =
          !attempt.aborted && attempt.retryable && attempt.budgetLeft && attempt.attempt < attempt.maxAttempts;
        const waits = step.kind === "retry" ? step.delayMs : 0;
        expect(step.kind === "give-up" || (allowed && waits < attempt.remainingMs)).toBe(true);
        expect(waits).toBeLessThanOrEqual(Math.max(attempt.backoffMs, attempt.maxPushbackMs));
      }),
      { numRuns: 1_000 },
    );
  });
});
