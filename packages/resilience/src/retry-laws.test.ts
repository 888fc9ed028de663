import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { unaryRequest, unaryResponse } from "../test/fixtures/deferred-calls.ts";
import type { Jitter } from "./backoff.ts";
import { retry } from "./retry.ts";
import { createRetryBudget } from "./retry-budget.ts";
import { retryLater } from "./retry-delay.ts";
import { FakeClock, seededRandom } from "./testing/index.ts";

type End = "ok" | "unavailable" | "not-found" | "never" | { readonly pushbackMs: number };

const end = fc.oneof(
  { weight: 4, arbitrary: fc.constant<End>("unavailable") },
  { weight: 1, arbitrary: fc.constantFrom<End>("ok", "not-found", "never") },
  { weight: 2, arbitrary: fc.record({ pushbackMs: fc.nat(500) }) },
);

const scenario = fc.record({
  /** What becomes of the attempts, the last again and again. */
  attempts: fc.array(fc.record({ tookMs: fc.nat(80), end }), { minLength: 1, maxLength: 6 }),
  options: fc.record(
    {
      maxAttempts: fc.integer({ min: 1, max: 6 }),
      perAttemptTimeoutMs: fc.integer({ min: 1, max: 100 }),
      overallTimeoutMs: fc.integer({ min: 1, max: 1_000 }),
      maxPushbackMs: fc.nat(500),
    },
    { requiredKeys: ["maxAttempts"] },
  ),
  backoff: fc.record({
    initialMs: fc.integer({ min: 1, max: 50 }),
    maxMs: fc.integer({ min: 50, max: 400 }),
    jitter: fc.constantFrom<Jitter>("none", "full", "equal", "decorrelated"),
  }),
  maxTokens: fc.integer({ min: 1, max: 20 }),
  seed: fc.integer(),
});

function errorOf(how: Exclude<End, "ok">): ConnectError {
  if (how === "unavailable") return new ConnectError("", Code.Unavailable);
  if (how === "not-found") return new ConnectError("", Code.NotFound);
  return retryLater("", Code.Unavailable, how === "never" ? Infinity : how.pushbackMs);
}

describe("retry", () => {
  it("law: attempts, delays, time and budget stay in bounds, and nothing is left, whatever the attempts do", async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async ({ attempts, options, backoff, maxTokens, seed }) => {
        const clock = new FakeClock();
        const budget = createRetryBudget({ maxTokens });
        const delays: { delayMs: number; error: ConnectError }[] = [];
        let begun = 0;
        let under = 0;
        const run = retry({
          ...options,
          backoff,
          budget,
          clock,
          random: seededRandom(seed),
          onRetry: (event) => delays.push(event),
        })(async ({ signal }) => {
          const attempt = attempts[Math.min(begun, attempts.length - 1)] ?? { tookMs: 0, end: "ok" as const };
          begun += 1;
          under += 1;
          await clock.sleep(attempt.tookMs, signal).finally(() => {
            under -= 1;
          });
          if (attempt.end === "ok") return unaryResponse();
          throw errorOf(attempt.end);
        });
        const endedMs = run(unaryRequest()).then(
          () => clock.monotonic(),
          () => clock.monotonic(),
        );
        for (let turn = 0; turn < 60 && (turn === 0 || clock.pending > 0); turn++) {
          await clock.advance(clock.nextDueMs ?? 0);
        }
        expect([await endedMs, clock.pending, under]).toEqual([expect.any(Number), 0, 0]);
        expect(begun).toBeLessThanOrEqual(options.maxAttempts);
        expect(begun).toBe(delays.length + 1);
        expect(await endedMs).toBeLessThanOrEqual(options.overallTimeoutMs ?? Infinity);
        const longestMs = Math.max(backoff.maxMs, options.maxPushbackMs ?? 500);
        for (const { delayMs } of delays) {
          expect(delayMs >= 0 && delayMs <= longestMs).toBe(true);
        }
        const { tokens } = budget.snapshot("http://test");
        expect(tokens >= 0 && tokens <= maxTokens).toBe(true);
        expect(delays.length).toBeLessThanOrEqual(maxTokens / 2);
      }),
      { numRuns: 1_000 },
    );
  });
});
