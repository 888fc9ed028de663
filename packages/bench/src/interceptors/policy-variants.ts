import {
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  handleAll,
  retry,
  TimeoutStrategy,
  timeout,
  wrap,
} from "cockatiel";
import CircuitBreaker from "opossum";
import type { Variant } from "../table.ts";
import { type Chain, chainVariant } from "./chain-variant.ts";
import type { Next, Request } from "./no-op-call.ts";

export const cockatielRetryBreaker = "cockatiel: wrap(retry, breaker)";
export const cockatielTimeoutCooperative = "cockatiel: wrap(timeout, retry, breaker), cooperative";
export const cockatielTimeoutAggressive = "cockatiel: wrap(timeout, retry, breaker), aggressive";

const timeoutMs = 10_000;

/** What others have, run inside an interceptor, with settings like those of ours. */
export const policyVariants: readonly Variant[] = [
  chainVariant(cockatielRetryBreaker, () => executedBy(wrap(retrying(), breaking()))),
  chainVariant(cockatielTimeoutCooperative, () =>
    executedBy(wrap(timeout(timeoutMs, TimeoutStrategy.Cooperative), retrying(), breaking())),
  ),
  chainVariant(cockatielTimeoutAggressive, () =>
    executedBy(wrap(timeout(timeoutMs, TimeoutStrategy.Aggressive), retrying(), breaking())),
  ),
  chainVariant("opossum: breaker", () => firedBy(false)),
  chainVariant("opossum: breaker with timeout", () => firedBy(timeoutMs)),
];

const retrying = () => retry(handleAll, { maxAttempts: 2, backoff: new ExponentialBackoff() });
const breaking = () => circuitBreaker(handleAll, { halfOpenAfter: 10_000, breaker: new ConsecutiveBreaker(5) });

function executedBy(policy: { execute<T>(run: () => Promise<T>): Promise<T> }): Chain {
  return { interceptors: [(next) => (request) => policy.execute(() => next(request))] };
}

function firedBy(timeout: number | false): Chain {
  const breaker = new CircuitBreaker((next: Next, request: Request) => next(request), { timeout });
  return {
    interceptors: [(next) => (request) => breaker.fire(next, request)],
    close: () => breaker.shutdown(),
  };
}
