import type { StreamRequest, UnaryRequest } from "@connectrpc/connect";
import { type CallKey, resolveCallKey } from "./internal/keyed-call.ts";
import {
  afterAttempt,
  type BudgetEvent,
  checkRetryBudgetConfig,
  fullBudget,
  mayRetry,
  type RetryBudgetConfig,
  type RetryBudgetState,
} from "./retry-budget-state.ts";

export interface RetryBudgetOptions {
  /** Tokens at the start, and most tokens. Half of them may be spent. From 1 to 1 000 000. Default 100. */
  readonly maxTokens?: number | undefined;
  /** Tokens that a success gives back. From 0.001 to `maxTokens`; digits after the third are cut. Default 0.1. */
  readonly tokenRatio?: number | undefined;
  /** Which calls share tokens. Must not throw. Default "endpoint". */
  readonly key?: CallKey | undefined;
  /** Most keys with tokens of their own; those above it share one more bucket. Whole number from 1. Default 1 000. */
  readonly maxKeys?: number | undefined;
}

/** Bounds retries by successes, over all calls to one target. May be shared by several `retry` interceptors. */
export interface RetryBudget {
  /** An attempt of the call succeeded. */
  succeeded(request: UnaryRequest | StreamRequest): void;
  /** An attempt of the call failed in a way that calls for another. Returns whether there may be one. */
  failed(request: UnaryRequest | StreamRequest): boolean;
  snapshot(key: string): RetryBudgetSnapshot;
  /** Of every key that is not full. */
  snapshots(): RetryBudgetSnapshot[];
}

/** One key's tokens at one moment. */
export interface RetryBudgetSnapshot {
  readonly key: string;
  readonly tokens: number;
  /** Whether a call that fails now may be tried again. */
  readonly canRetry: boolean;
}

/**
 * A retry budget, full for every key. Memory is bounded without forgetting what is spent: keys that are full again are
 * not kept, and those for which there is no place share one bucket.
 * @throws {RangeError} or {TypeError} naming the option.
 * @example
 * const budget = createRetryBudget({ maxTokens: 20 });
 * const transport = createConnectTransport({ baseUrl, httpVersion: "2", interceptors: [retry({ budget })] });
 */
export function createRetryBudget(options: RetryBudgetOptions = {}): RetryBudget {
  const { maxTokens = 100, tokenRatio = 0.1, key = "endpoint", maxKeys = 1_000 } = options;
  const config: RetryBudgetConfig = { maxTokens, tokenRatio };
  checkRetryBudgetConfig(config);
  if (!Number.isInteger(maxKeys) || maxKeys < 1) {
    throw new RangeError(`maxKeys must be a whole number from 1, got ${maxKeys}`);
  }
  const keyOf = resolveCallKey(key);
  const full = fullBudget(config);
  /** Only those that are not full. */
  const states = new Map<string, RetryBudgetState>();
  let shared = full;

  function after(request: UnaryRequest | StreamRequest, event: BudgetEvent): RetryBudgetState {
    const name = keyOf(request);
    const known = states.get(name);
    if (known === undefined && states.size >= maxKeys) {
      shared = afterAttempt(shared, event, config);
      return shared;
    }
    const next = afterAttempt(known ?? full, event, config);
    if (next.milliTokens === full.milliTokens) states.delete(name);
    else states.set(name, next);
    return next;
  }

  const stateOf = (name: string) => states.get(name) ?? (states.size >= maxKeys ? shared : full);
  const snapshotOf = (name: string, state: RetryBudgetState): RetryBudgetSnapshot => ({
    key: name,
    tokens: state.milliTokens / 1000,
    canRetry: mayRetry(state, config),
  });

  return {
    succeeded(request) {
      // The usual case: nothing has failed for a while.
      if (states.size > 0) after(request, "success");
    },
    failed: (request) => mayRetry(after(request, "failure"), config),
    snapshot: (name) => snapshotOf(name, stateOf(name)),
    snapshots: () => [...states].map(([name, state]) => snapshotOf(name, state)),
  };
}
