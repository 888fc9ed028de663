import { Code } from "@connectrpc/connect";
import { type Clock, systemClock } from "../clock.ts";
import { type FaultPlan, type FaultRates, seededFaults } from "./fault-plan.ts";

/** Rates are shares of the calls, from 0 to 1. */
export interface FaultOptions {
  /** Another seed, other calls that fail. Whole number. Default 1. */
  readonly seed?: number | undefined;
  /** How much later a late call begins, in ms: a number, or the least and the most. At least 0. Default 0. */
  readonly latencyMs?: number | readonly [least: number, most: number] | undefined;
  /** Share of the calls that are late. Default 1. */
  readonly latencyRate?: number | undefined;
  /** Share of the calls that fail, without having run. Default 0. */
  readonly errorRate?: number | undefined;
  /** The codes with which they fail, each as often as the others. At least one. Default `[Code.Unavailable]`. */
  readonly codes?: readonly Code[] | undefined;
  /** Share of the calls that stall. Default 0. */
  readonly stallRate?: number | undefined;
  /** Messages that a stream brings before it stalls. A unary call brings none. Whole number from 0. Default 0. */
  readonly stallAfter?: number | undefined;
  /** A call that stalls and is not aborted fails after that long, in ms. Greater than 0. Default 60 000. */
  readonly maxStallMs?: number | undefined;
  /** Your own plan, instead of seed and rates. */
  readonly plan?: FaultPlan | undefined;
  /** Default `systemClock`. */
  readonly clock?: Clock | undefined;
}

/** Options checked, defaults filled in. */
export interface FaultConfig {
  readonly plan: FaultPlan;
  readonly maxStallMs: number;
  readonly clock: Clock;
}

const seeded = ["seed", "latencyMs", "latencyRate", "errorRate", "codes", "stallRate", "stallAfter"] as const;

/** @throws {RangeError} or {TypeError} naming the option. */
export function resolveFaultOptions(options: FaultOptions = {}): FaultConfig {
  const { seed = 1, latencyMs = 0, latencyRate = 1, errorRate = 0, codes = [Code.Unavailable] } = options;
  const { stallRate = 0, stallAfter = 0, maxStallMs = 60_000, plan, clock = systemClock } = options;
  if (!Number.isSafeInteger(seed)) throw new RangeError(`seed must be a whole number, got ${seed}`);
  const latency = typeof latencyMs === "number" ? ([latencyMs, latencyMs] as const) : latencyMs;
  const [least, most] = latency;
  if (!(least >= 0 && most >= least && most < Infinity)) {
    throw new RangeError(`latencyMs must be from 0 and finite, the least first, got ${String(latencyMs)}`);
  }
  for (const [name, rate] of Object.entries({ latencyRate, errorRate, stallRate })) {
    if (!(rate >= 0 && rate <= 1)) throw new RangeError(`${name} must be from 0 to 1, got ${rate}`);
  }
  if (!Array.isArray(codes) || codes.length === 0) throw new TypeError(`codes must be an array of codes, got ${codes}`);
  for (const code of codes) {
    if (Code[code] === undefined) throw new RangeError(`codes must be codes, got ${String(code)}`);
  }
  if (!Number.isInteger(stallAfter) || stallAfter < 0) {
    throw new RangeError(`stallAfter must be a whole number from 0, got ${stallAfter}`);
  }
  if (!(maxStallMs > 0 && maxStallMs < Infinity)) {
    throw new RangeError(`maxStallMs must be a finite number above 0, got ${maxStallMs}`);
  }
  if (plan !== undefined) {
    if (typeof plan !== "function") throw new TypeError(`plan must be a function, got ${String(plan)}`);
    for (const name of seeded) {
      if (options[name] !== undefined) throw new TypeError(`${name} must not be given together with plan`);
    }
  }
  const rates: FaultRates = { seed, latencyMs: latency, latencyRate, errorRate, codes, stallRate, stallAfter };
  return { plan: plan ?? seededFaults(rates), maxStallMs, clock };
}
