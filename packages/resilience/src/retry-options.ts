import type { DescMethod } from "@bufbuild/protobuf";
import { Code, type ConnectError, type StreamRequest, type UnaryRequest } from "@connectrpc/connect";
import { type BackoffConfig, type BackoffOptions, resolveBackoffOptions } from "./backoff.ts";
import { type Clock, systemClock } from "./clock.ts";
import { createRetryBudget, type RetryBudget } from "./retry-budget.ts";

/** Durations in ms; fractions are fine. */
export interface RetryOptions {
  /** Attempts in all, the first included. Whole number from 1. Default 3. */
  readonly maxAttempts?: number | undefined;
  /** How long to wait between attempts, unless the server says. Default 100 ms, doubled each time up to 10 s, full jitter. */
  readonly backoff?: BackoffOptions | undefined;
  /**
   * How long one attempt may take to answer: a unary call with its response; a stream with its first message if it may
   * be tried again after its headers, or else with its headers. An attempt that is out of time counts as one that failed
   * with a retryable code. Greater than 0. Default: no limit.
   */
  readonly perAttemptTimeoutMs?: number | undefined;
  /**
   * How long all attempts together, and the waits between, may take until the call is answered. Greater than 0. Default:
   * no limit but the time-out of the call, which covers all attempts in any case.
   */
  readonly overallTimeoutMs?: number | undefined;
  /**
   * Codes after which an idempotent call is tried again. `Code.Unavailable` stands for lost connections too
   * (`isConnectionLost`). Default `[Code.Unavailable]`.
   */
  readonly codes?: readonly Code[] | undefined;
  /**
   * Your own word: true, try again, also what nothing proves to be safe; false, do not; undefined, as without it. Not
   * asked when the caller itself gave up. Must be quick; if it throws, it is as if it returned undefined.
   */
  readonly retryIf?: ((error: ConnectError, request: UnaryRequest | StreamRequest) => boolean | undefined) | undefined;
  /** A server that asks for a longer delay than this is not waited for: the call fails at once. At least 0. Default 60 000. */
  readonly maxPushbackMs?: number | undefined;
  /** Bounds the share of retries; false: no bound. Default: a budget of its own, with the defaults. */
  readonly budget?: RetryBudget | false | undefined;
  /** Is told of every retry before the wait. What it throws, or rejects with, is dropped. */
  readonly onRetry?: ((event: RetryEvent) => unknown) | undefined;
  /** Default `systemClock`. */
  readonly clock?: Clock | undefined;
  /** Numbers of at least 0 and less than 1, for jitter. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** An attempt failed, and there will be another. */
export interface RetryEvent {
  /** The attempt that failed, 1 for the first. */
  readonly attempt: number;
  /** With which error. */
  readonly error: ConnectError;
  /** How long it is until the next attempt. */
  readonly delayMs: number;
  readonly method: DescMethod;
  readonly url: string;
}

/** Options checked, defaults filled in. */
export interface RetryConfig {
  readonly maxAttempts: number;
  readonly backoff: BackoffConfig;
  /** Infinity: no limit. */
  readonly perAttemptTimeoutMs: number;
  /** Infinity: no limit. */
  readonly overallTimeoutMs: number;
  readonly codes: ReadonlySet<Code>;
  readonly retryIf: ((error: ConnectError, request: UnaryRequest | StreamRequest) => boolean | undefined) | undefined;
  readonly maxPushbackMs: number;
  readonly budget: RetryBudget | undefined;
  readonly onRetry: ((event: RetryEvent) => unknown) | undefined;
  readonly clock: Clock;
  readonly random: () => number;
}

/** @throws {RangeError} or {TypeError} naming the option. */
export function resolveRetryOptions(options: RetryOptions = {}): RetryConfig {
  const { maxAttempts = 3, backoff, perAttemptTimeoutMs, overallTimeoutMs, retryIf, onRetry } = options;
  const { codes = [Code.Unavailable], maxPushbackMs = 60_000, budget = createRetryBudget() } = options;
  const { clock = systemClock, random = Math.random } = options;

  if (!Number.isInteger(maxAttempts) || maxAttempts < 1) {
    throw new RangeError(`maxAttempts must be a whole number from 1, got ${maxAttempts}`);
  }
  for (const [name, ms] of Object.entries({ perAttemptTimeoutMs, overallTimeoutMs })) {
    if (ms !== undefined && !(ms > 0 && ms < Infinity)) {
      throw new RangeError(`${name} must be a finite number above 0, got ${ms}`);
    }
  }
  if (!(maxPushbackMs >= 0)) throw new RangeError(`maxPushbackMs must be at least 0, got ${maxPushbackMs}`);
  if (!Array.isArray(codes)) throw new TypeError(`codes must be an array, got ${String(codes)}`);
  for (const code of codes) {
    if (Code[code] === undefined || code === Code.Canceled) {
      throw new RangeError(`codes must be codes other than Code.Canceled, got ${String(code)}`);
    }
  }
  for (const [name, value] of Object.entries({ retryIf, onRetry, random })) {
    if (value !== undefined && typeof value !== "function") {
      throw new TypeError(`${name} must be a function, got ${String(value)}`);
    }
  }
  if (budget !== false && typeof budget?.failed !== "function") {
    throw new TypeError(`budget must be a RetryBudget or false, got ${String(budget)}`);
  }
  if (typeof clock?.sleep !== "function") throw new TypeError(`clock must be a Clock, got ${String(clock)}`);

  return {
    maxAttempts,
    backoff: resolveBackoffOptions(backoff),
    perAttemptTimeoutMs: perAttemptTimeoutMs ?? Infinity,
    overallTimeoutMs: overallTimeoutMs ?? Infinity,
    codes: new Set(codes),
    retryIf,
    maxPushbackMs,
    budget: budget === false ? undefined : budget,
    onRetry,
    clock,
    random,
  };
}
