import type { ConnectError, StreamRequest, UnaryRequest } from "@connectrpc/connect";
import type { CallVerdict, CircuitConfig } from "./circuit-state.ts";
import { verdictOnError } from "./circuit-verdict.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type CallKey, resolveCallKey } from "./internal/keyed-call.ts";

/** Durations in ms; fractions are fine. */
export interface CircuitBreakerOptions {
  /** Which calls share a circuit. Default "endpoint". */
  readonly key?: CallKey | undefined;
  /** Most circuits remembered; the first to go are closed, without failures and long not used. Default 1 000. */
  readonly maxKeys?: number | undefined;
  /**
   * Failures in a row that open the circuit. Whole number from 1, or Infinity. Default 5; Infinity if a rate is given,
   * for otherwise a handful of calls would open it without the minimum of calls that rates ask for.
   */
  readonly failureThreshold?: number | undefined;
  /** Share of failed calls in the window that opens the circuit. Greater than 0, at most 1. Default: not looked at. */
  readonly failureRate?: number | undefined;
  /** Share of slow calls in the window that opens the circuit. Goes with `slowCallMs`. Default: not looked at. */
  readonly slowCallRate?: number | undefined;
  /**
   * A unary call that takes at least this long is slow. A slow probe counts as failed. Streams are never slow: how long
   * they last says nothing. Greater than 0. Goes with `slowCallRate`.
   */
  readonly slowCallMs?: number | undefined;
  /** Rates are over the latest so many calls. Whole number from 1 to 1 000 000. Default 100. */
  readonly windowCalls?: number | undefined;
  /** Rates are over the calls of the last so many ms, instead of `windowCalls`. Greater than 0. */
  readonly windowMs?: number | undefined;
  /** Calls that the window must hold before a rate counts. Whole number from 1. Default 20, or `windowCalls` if fewer. */
  readonly minimumCalls?: number | undefined;
  /** How long an open circuit lets nothing in. Greater than 0. Default 10 000. */
  readonly openMs?: number | undefined;
  /** By how much longer each time it opens again without having been closed. At least 1. Default 1. */
  readonly openFactor?: number | undefined;
  /** Longest it stays open. At least `openMs`. Default 300 000, or `openMs` if more. */
  readonly openMaxMs?: number | undefined;
  /** Probes under way at a time while half-open. Whole number from 1. Default 1. */
  readonly permittedProbes?: number | undefined;
  /** Successful probes that close the circuit. Probes go on, `permittedProbes` at a time, until then. Default 2. */
  readonly successThreshold?: number | undefined;
  /** A probe that has not ended after this long is given up, and the next call is let in. Default 60 000. */
  readonly probeMaxAgeMs?: number | undefined;
  /**
   * What an error says about the callee; not asked about calls that their caller cancelled, which are ignored. Must be
   * quick; if it throws, the default decides. Default `verdictOnError`.
   */
  readonly classify?: ((error: ConnectError, request: UnaryRequest | StreamRequest) => CallVerdict) | undefined;
  /** Default `systemClock`. */
  readonly clock?: Clock | undefined;
}

/** Options checked, defaults filled in. */
export interface CircuitBreakerConfig extends CircuitConfig {
  readonly key: CallKey;
  readonly keyOf: (request: UnaryRequest | StreamRequest) => string;
  readonly maxKeys: number;
  /** Infinity: no call is slow. */
  readonly slowCallMs: number;
  readonly windowCalls: number;
  readonly windowMs: number | undefined;
  /** Whether any rate is looked at. */
  readonly hasRates: boolean;
  readonly classify: (error: ConnectError, request: UnaryRequest | StreamRequest) => CallVerdict;
  readonly clock: Clock;
}

/** @throws {RangeError} or {TypeError} naming the option. */
export function resolveCircuitBreakerOptions(options: CircuitBreakerOptions = {}): CircuitBreakerConfig {
  const { key = "endpoint", maxKeys = 1_000, classify = verdictOnError, clock = systemClock } = options;
  const { failureRate, slowCallRate, slowCallMs, windowMs } = options;
  const hasRates = failureRate !== undefined || slowCallRate !== undefined;
  const { failureThreshold = hasRates ? Infinity : 5, windowCalls = 100 } = options;
  const { minimumCalls = windowMs === undefined ? Math.min(20, windowCalls) : 20 } = options;
  const { openMs = 10_000, openFactor = 1, openMaxMs = Math.max(300_000, openMs) } = options;
  const { permittedProbes = 1, successThreshold = 2, probeMaxAgeMs = 60_000 } = options;

  if (failureThreshold !== Infinity) requireWhole({ failureThreshold });
  requireWhole({ maxKeys, windowCalls, minimumCalls, permittedProbes, successThreshold });
  requirePositive({ openMs, openMaxMs, openFactor, probeMaxAgeMs });
  if (slowCallMs !== undefined) requirePositive({ slowCallMs });
  if (windowMs !== undefined) requirePositive({ windowMs });
  for (const [name, rate] of Object.entries({ failureRate, slowCallRate })) {
    if (rate !== undefined && !(rate > 0 && rate <= 1)) {
      throw new RangeError(`${name} must be greater than 0 and at most 1, got ${rate}`);
    }
  }
  if ((slowCallRate === undefined) !== (slowCallMs === undefined)) {
    throw new TypeError("slowCallRate and slowCallMs must be given together");
  }
  if (windowMs !== undefined && options.windowCalls !== undefined) {
    throw new TypeError("windowCalls and windowMs must not be given together");
  }
  if (windowCalls > 1_000_000) throw new RangeError(`windowCalls must be at most 1000000, got ${windowCalls}`);
  if (windowMs === undefined && minimumCalls > windowCalls) {
    throw new RangeError(`minimumCalls must be at most windowCalls (${windowCalls}), got ${minimumCalls}`);
  }
  if (openFactor < 1) throw new RangeError(`openFactor must be at least 1, got ${openFactor}`);
  if (openMaxMs < openMs) throw new RangeError(`openMaxMs must be at least openMs (${openMs}), got ${openMaxMs}`);
  if (typeof classify !== "function") throw new TypeError(`classify must be a function, got ${String(classify)}`);

  return {
    key,
    keyOf: resolveCallKey(key),
    maxKeys,
    failureThreshold,
    failureRate: failureRate ?? Infinity,
    slowCallRate: slowCallRate ?? Infinity,
    slowCallMs: slowCallMs ?? Infinity,
    windowCalls,
    windowMs,
    hasRates,
    minimumCalls,
    openMs,
    openFactor,
    openMaxMs,
    permittedProbes,
    successThreshold,
    probeMaxAgeMs,
    classify,
    clock,
  };
}

function requireWhole(options: Record<string, number>): void {
  for (const [name, value] of Object.entries(options)) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`${name} must be a whole number from 1, got ${value}`);
    }
  }
}

function requirePositive(options: Record<string, number>): void {
  for (const [name, value] of Object.entries(options)) {
    if (!(value > 0 && value < Infinity)) throw new RangeError(`${name} must be a finite number above 0, got ${value}`);
  }
}
