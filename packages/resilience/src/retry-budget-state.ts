export interface RetryBudgetConfig {
  /** Most tokens, and those at the start. */
  readonly maxTokens: number;
  /** Tokens that an attempt which succeeded gives back. */
  readonly tokenRatio: number;
}

/** One budget. Made by `fullBudget`, replaced by the functions below. */
export interface RetryBudgetState {
  /** In thousandths, so that sums are exact. Between 0 and `maxTokens`. */
  readonly milliTokens: number;
}

/** Options checked. @throws {RangeError} naming the option. */
export function checkRetryBudgetConfig({ maxTokens, tokenRatio }: RetryBudgetConfig): void {
  if (!(maxTokens >= 1 && maxTokens <= 1_000_000)) {
    throw new RangeError(`maxTokens must be from 1 to 1000000, got ${maxTokens}`);
  }
  if (!(tokenRatio >= 0.001 && tokenRatio <= maxTokens)) {
    throw new RangeError(`tokenRatio must be from 0.001 to maxTokens (${maxTokens}), got ${tokenRatio}`);
  }
}

export function fullBudget({ maxTokens }: RetryBudgetConfig): RetryBudgetState {
  return { milliTokens: Math.round(maxTokens * 1000) };
}

/** What an attempt that ended says about the load that the target can bear. */
export type BudgetEvent = "success" | "failure";

/**
 * The budget after an attempt, a first one or another, ended. Pure.
 *
 * | event | next state |
 * |---|---|
 * | success | `tokenRatio` more, up to `maxTokens` |
 * | failure | one fewer, down to 0 |
 *
 * An end that says nothing, such as `not_found` or the caller's own abort, is not passed in.
 * Algorithm: retry throttling of gRFC A6,
 * https://github.com/grpc/proposal/blob/master/A6-client-retries.md#throttling-retry-attempts-and-hedged-rpcs
 * Where successes are rare, there are no retries; in the long run there are no more than `tokenRatio` per success.
 */
export function afterAttempt(
  state: RetryBudgetState,
  event: BudgetEvent,
  { maxTokens, tokenRatio }: RetryBudgetConfig,
): RetryBudgetState {
  const change = event === "success" ? Math.floor(tokenRatio * 1000 + 1e-6) : -1000;
  const milliTokens = Math.max(0, Math.min(Math.round(maxTokens * 1000), state.milliTokens + change));
  return milliTokens === state.milliTokens ? state : { milliTokens };
}

/** Whether there may be another attempt: only while more than half of the tokens are there. Pure. */
export function mayRetry({ milliTokens }: RetryBudgetState, { maxTokens }: RetryBudgetConfig): boolean {
  return milliTokens > Math.round(maxTokens * 1000) / 2;
}
