import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { seededRandom } from "./seeded-random.ts";

/** What goes wrong with one call. All of it may: first the latency, then the error, else the stall. */
export interface Fault {
  /** The call begins that much later, in ms. */
  readonly latencyMs?: number | undefined;
  /** The call fails with this, and does not run. */
  readonly error?: Code | ConnectError | undefined;
  /**
   * The call does not end: a stream brings so many messages, then nothing; a unary call never answers, nor does a stream
   * with 0 of them. Whole number from 0.
   */
  readonly stallAfter?: number | undefined;
}

/** Says what goes wrong with a call: `number` is 1 for the first call of the method. Undefined: nothing. */
export type FaultPlan = (method: DescMethod, number: number) => Fault | undefined;

/** How often what goes wrong. */
export interface FaultRates {
  readonly seed: number;
  readonly latencyMs: readonly [least: number, most: number];
  readonly latencyRate: number;
  readonly errorRate: number;
  readonly codes: readonly Code[];
  readonly stallRate: number;
  readonly stallAfter: number;
}

/**
 * A plan that is the same for the same seed, whenever the calls are made: each call's faults depend on its method and its
 * number alone, so calls of other methods in between, and how long they take, change nothing.
 */
export function seededFaults(rates: FaultRates): FaultPlan {
  const [least, most] = rates.latencyMs;
  return (method, number) => {
    const random = seededRandom(hashOf(`${rates.seed} ${method.parent.typeName}/${method.name} ${number}`));
    // Always the same draws, so that one rate does not shift what another decides.
    const [isLate, lateness, fails, which, stalls] = [random(), random(), random(), random(), random()];
    return {
      latencyMs: isLate < rates.latencyRate ? least + lateness * (most - least) : undefined,
      error: fails < rates.errorRate ? rates.codes[Math.floor(which * rates.codes.length)] : undefined,
      stallAfter: stalls < rates.stallRate ? rates.stallAfter : undefined,
    };
  };
}

/** The error of a fault. */
export function faultError(error: Code | ConnectError): ConnectError {
  return error instanceof ConnectError ? error : new ConnectError(`injected ${Code[error]}`, error);
}

/** Algorithm: FNV-1a, 32 bits, http://www.isthe.com/chongo/tech/comp/fnv/ */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash;
}
