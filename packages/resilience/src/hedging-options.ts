import type { DescMethod } from "@bufbuild/protobuf";
import { Code, type StreamRequest, type UnaryRequest } from "@connectrpc/connect";
import { type Clock, systemClock } from "./clock.ts";
import type { HedgeBudgetConfig } from "./hedging-budget-state.ts";

/** Durations in ms; fractions are fine. */
export interface HedgingOptions {
  /**
   * How long to wait for an answer before the next attempt begins. Greater than 0. With `quantile`: only until enough
   * calls of the method were seen. Default: the quantile, and no hedge until then.
   */
  readonly delayMs?: number | undefined;
  /**
   * Wait as long as this share of the latest calls of the method took at most, which leaves the rest to be hedged.
   * Greater than 0, less than 1. Default 0.95, or none if `delayMs` is given.
   */
  readonly quantile?: number | undefined;
  /** Calls of a method that must be seen before its quantile counts. Whole number from 1. Goes with a quantile. Default 50. */
  readonly minCalls?: number | undefined;
  /**
   * The quantile is over about so many of the latest calls of a method. Whole number of at least twice `minCalls`, at
   * most 1 000 000. Goes with a quantile. Default 1 000, or twice `minCalls` if that is more.
   */
  readonly windowCalls?: number | undefined;
  /** Attempts of one call, the first included. Whole number from 2 to 5. Default 2. */
  readonly maxAttempts?: number | undefined;
  /** Hedges for each call that may be hedged, at most. Greater than 0, at most 1. Default 0.05. */
  readonly maxShare?: number | undefined;
  /** Hedges that may be saved up for a bad moment. Whole number from 1. Default 10. */
  readonly maxBurst?: number | undefined;
  /**
   * Codes with which an attempt may fail while the call waits for the others, as it may with a lost connection
   * (`isConnectionLost`); any other error is an answer and ends the call. Default `unavailable`, `resource_exhausted`, `deadline_exceeded`, `internal`, `unknown`, `data_loss`.
   */
  readonly nonFatalCodes?: readonly Code[] | undefined;
  /**
   * Your own word: true, hedge the call though nothing says that its method is idempotent; false, do not; undefined, as
   * without it. Must be quick; if it throws, it is as if it returned undefined.
   */
  readonly hedgeIf?: ((request: UnaryRequest | StreamRequest) => boolean | undefined) | undefined;
  /** Is told of every hedge when it begins. What it throws, or rejects with, is dropped. */
  readonly onHedge?: ((event: HedgeEvent) => unknown) | undefined;
  /** Default `systemClock`. */
  readonly clock?: Clock | undefined;
}

/** One more attempt of a call begins. */
export interface HedgeEvent {
  /** 2 for the first hedge. */
  readonly attempt: number;
  /** How long the call has taken until now. */
  readonly elapsedMs: number;
  readonly method: DescMethod;
  readonly url: string;
}

/** Options checked, defaults filled in. */
export interface HedgingConfig extends HedgeBudgetConfig {
  /** Infinity: no hedge until the quantile is known. */
  readonly delayMs: number;
  /** Undefined: the delay is fixed. */
  readonly quantile: number | undefined;
  readonly minCalls: number;
  readonly windowCalls: number;
  readonly maxAttempts: number;
  readonly nonFatalCodes: ReadonlySet<Code>;
  readonly hedgeIf: ((request: UnaryRequest | StreamRequest) => boolean | undefined) | undefined;
  readonly onHedge: ((event: HedgeEvent) => unknown) | undefined;
  readonly clock: Clock;
}

const defaultCodes = [
  Code.Unavailable,
  Code.ResourceExhausted,
  Code.DeadlineExceeded,
  Code.Internal,
  Code.Unknown,
  Code.DataLoss,
];

/** @throws {RangeError} or {TypeError} naming the option. */
export function resolveHedgingOptions(options: HedgingOptions = {}): HedgingConfig {
  const { delayMs, quantile = delayMs === undefined ? 0.95 : undefined, minCalls = 50 } = options;
  const { windowCalls = Math.max(1_000, 2 * minCalls), maxAttempts = 2, maxShare = 0.05, maxBurst = 10 } = options;
  const { nonFatalCodes = defaultCodes, hedgeIf, onHedge, clock = systemClock } = options;

  if (delayMs !== undefined && !(delayMs > 0 && delayMs < Infinity)) {
    throw new RangeError(`delayMs must be a finite number above 0, got ${delayMs}`);
  }
  if (quantile !== undefined && !(quantile > 0 && quantile < 1)) {
    throw new RangeError(`quantile must be greater than 0 and less than 1, got ${quantile}`);
  }
  for (const [name, value] of Object.entries({ minCalls, windowCalls, maxBurst })) {
    if (!Number.isInteger(value) || value < 1 || value > 1_000_000) {
      throw new RangeError(`${name} must be a whole number from 1 to 1000000, got ${value}`);
    }
  }
  if (windowCalls < 2 * minCalls) {
    throw new RangeError(`windowCalls must be at least twice minCalls (${minCalls}), got ${windowCalls}`);
  }
  for (const name of ["minCalls", "windowCalls"] as const) {
    if (quantile === undefined && options[name] !== undefined) {
      throw new TypeError(`${name} must be given together with a quantile`);
    }
  }
  if (!Number.isInteger(maxAttempts) || maxAttempts < 2 || maxAttempts > 5) {
    throw new RangeError(`maxAttempts must be a whole number from 2 to 5, got ${maxAttempts}`);
  }
  if (!(maxShare > 0 && maxShare <= 1)) {
    throw new RangeError(`maxShare must be greater than 0 and at most 1, got ${maxShare}`);
  }
  if (!Array.isArray(nonFatalCodes))
    throw new TypeError(`nonFatalCodes must be an array, got ${String(nonFatalCodes)}`);
  for (const code of nonFatalCodes) {
    if (Code[code] === undefined) throw new RangeError(`nonFatalCodes must be codes, got ${String(code)}`);
  }
  for (const [name, value] of Object.entries({ hedgeIf, onHedge })) {
    if (value !== undefined && typeof value !== "function") {
      throw new TypeError(`${name} must be a function, got ${String(value)}`);
    }
  }

  return {
    delayMs: delayMs ?? Infinity,
    quantile,
    minCalls,
    windowCalls,
    maxAttempts,
    maxShare,
    maxBurst,
    nonFatalCodes: new Set(nonFatalCodes),
    hedgeIf,
    onHedge,
    clock,
  };
}
