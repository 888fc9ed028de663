import type { Goal, Table } from "../table.ts";
import { chainMeasure, chainVariant } from "./chain-variant.ts";
import {
  cockatielRetryBreaker,
  cockatielTimeoutAggressive,
  cockatielTimeoutCooperative,
  policyVariants,
} from "./policy-variants.ts";
import { deadlineToRateLimit, resilienceVariants, retryBreaker } from "./resilience-variants.ts";

const emptyChain = "empty chain";

/** What interceptors add to a call that succeeds at once. */
export const interceptorsTable: Table = {
  name: "interceptors",
  title: "what interceptors add to a call that succeeds",
  measures: [{ name: chainMeasure, unit: "ns", clock: "cpu", base: cockatielRetryBreaker, subtract: emptyChain }],
  variants: [
    chainVariant(emptyChain, () => ({ interceptors: [] })),
    chainVariant("one interceptor that does nothing", () => ({ interceptors: [(next) => (request) => next(request)] })),
    chainVariant("one async interceptor that does nothing", () => ({
      interceptors: [(next) => async (request) => await next(request)],
    })),
    ...resilienceVariants,
    ...policyVariants,
  ],
  goals: [
    { measure: chainMeasure, of: retryBreaker, to: cockatielRetryBreaker, ratio: "cost", bound: { atMost: 0.1 } },
    ...[cockatielTimeoutCooperative, cockatielTimeoutAggressive].map(
      (to): Goal => ({ measure: chainMeasure, of: deadlineToRateLimit, to, ratio: "cost", bound: { atMost: 0.5 } }),
    ),
  ],
};
