import { clientDeadline, createCircuitBreaker, createRateLimit, retry } from "@cpg/resilience";
import type { Variant } from "../table.ts";
import { chainVariant } from "./chain-variant.ts";

export const retryBreaker = "retry + breaker";
export const deadlineToRateLimit = "deadline + retry + breaker + rate limit";

const deadline = () => clientDeadline({ defaultMs: 10_000 });
const breaker = () => createCircuitBreaker().interceptor;
/** So many a second that none is too many here. */
const rateLimit = () => createRateLimit({ limit: 1e9 }).interceptor;

/** Ours; where there is no need to set anything, nothing is set. The first is outermost. */
export const resilienceVariants: readonly Variant[] = [
  chainVariant("deadline", () => ({ interceptors: [deadline()] })),
  chainVariant("retry", () => ({ interceptors: [retry()] })),
  chainVariant("breaker", () => ({ interceptors: [breaker()] })),
  chainVariant("rate limit", () => ({ interceptors: [rateLimit()] })),
  chainVariant(retryBreaker, () => ({ interceptors: [retry(), breaker()] })),
  chainVariant(deadlineToRateLimit, () => ({ interceptors: [deadline(), retry(), breaker(), rateLimit()] })),
];
