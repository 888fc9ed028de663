import type { RetryDelay } from "./retry-delay.ts";

/** What is known when an attempt has failed. */
export interface FailedAttempt {
  /** 1 for the first. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** The caller has given up, or its time is up. */
  readonly aborted: boolean;
  /** Trying again is both worth it and safe. */
  readonly retryable: boolean;
  /** What the server says. */
  readonly pushback: RetryDelay;
  readonly maxPushbackMs: number;
  readonly budgetLeft: boolean;
  /** What we would wait if the server says nothing. */
  readonly backoffMs: number;
  /** Until the deadline. Infinity if there is none. */
  readonly remainingMs: number;
}

export type RetryStep =
  | { readonly kind: "retry"; readonly delayMs: number }
  /** The error of the attempt is the error of the call. */
  | { readonly kind: "give-up"; readonly why: GiveUpReason };

export type GiveUpReason = "aborted" | "not-retryable" | "pushback" | "attempts" | "budget" | "deadline";

/**
 * What follows a failed attempt. Pure. The first row that is true counts.
 *
 * | when | step |
 * |---|---|
 * | `aborted` | give up: aborted |
 * | not `retryable` | give up: not-retryable |
 * | the server says never, or after more than `maxPushbackMs` | give up: pushback |
 * | `attempt` is `maxAttempts` | give up: attempts |
 * | not `budgetLeft` | give up: budget |
 * | the delay, which is the server's or else `backoffMs`, is at least `remainingMs` | give up: deadline |
 * | otherwise | retry after the delay |
 */
export function stepAfterFailure(failed: FailedAttempt): RetryStep {
  const { pushback } = failed;
  if (failed.aborted) return giveUp("aborted");
  if (!failed.retryable) return giveUp("not-retryable");
  if (pushback.kind === "never") return giveUp("pushback");
  if (pushback.kind === "after" && pushback.ms > failed.maxPushbackMs) return giveUp("pushback");
  if (failed.attempt >= failed.maxAttempts) return giveUp("attempts");
  if (!failed.budgetLeft) return giveUp("budget");
  const delayMs = pushback.kind === "after" ? pushback.ms : failed.backoffMs;
  return delayMs >= failed.remainingMs ? giveUp("deadline") : { kind: "retry", delayMs };
}

function giveUp(why: GiveUpReason): RetryStep {
  return { kind: "give-up", why };
}
