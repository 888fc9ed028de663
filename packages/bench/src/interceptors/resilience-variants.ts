import { createCircuitBreaker, retry } from "@cpg/resilience";
import type { Variant } from "../table.ts";
import { chainVariant } from "./chain-variant.ts";

export const retryBreaker = "retry + breaker";

/** Ours, with the settings that they have if nobody sets any; the first is outermost. */
export const resilienceVariants: readonly Variant[] = [
  chainVariant("retry", () => ({ interceptors: [retry()] })),
  chainVariant("breaker", () => ({ interceptors: [createCircuitBreaker().interceptor] })),
  chainVariant(retryBreaker, () => ({ interceptors: [retry(), createCircuitBreaker().interceptor] })),
];
