import { createCircuitBreaker, createRateLimit, retry } from "@cpg/resilience";
import type { Variant } from "../table.ts";
import { chainVariant } from "./chain-variant.ts";

export const retryBreaker = "retry + breaker";

/** So many a second that none is too many here. */
const limit = 1e9;

/** Ours, with the settings that they have if nobody sets any; the first is outermost. */
export const resilienceVariants: readonly Variant[] = [
  chainVariant("retry", () => ({ interceptors: [retry()] })),
  chainVariant("breaker", () => ({ interceptors: [createCircuitBreaker().interceptor] })),
  chainVariant("rate limit", () => ({ interceptors: [createRateLimit({ limit }).interceptor] })),
  chainVariant(retryBreaker, () => ({ interceptors: [retry(), createCircuitBreaker().interceptor] })),
];
