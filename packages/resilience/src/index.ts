// For every program.

export { AttemptTimeoutError } from "./attempt-timeout-error.ts";
export {
  type Backoff,
  type BackoffConfig,
  type BackoffOptions,
  backoffDelay,
  createBackoff,
  type Jitter,
  resolveBackoffOptions,
} from "./backoff.ts";
export { type Bulkhead, type BulkheadEvent, type BulkheadSnapshot, createBulkhead } from "./bulkhead.ts";
export { BulkheadFullError, type BulkheadRefusal } from "./bulkhead-full-error.ts";
export type { BulkheadOptions } from "./bulkhead-options.ts";
export {
  byEach,
  byIdentity,
  byMethod,
  byPeer,
  byTrustedHeader,
  type CallerKey,
  type LimitedCall,
} from "./caller-key.ts";
export {
  type CircuitBreaker,
  type CircuitChange,
  type CircuitSnapshot,
  createCircuitBreaker,
} from "./circuit-breaker.ts";
export { CircuitOpenError } from "./circuit-open-error.ts";
export type { CircuitBreakerOptions } from "./circuit-options.ts";
export type { CallVerdict, CircuitKind } from "./circuit-state.ts";
export { verdictOnError } from "./circuit-verdict.ts";
export { type Clock, systemClock } from "./clock.ts";
export { isConnectionLost } from "./connection-lost.ts";
export { clientDeadline, serverDeadline } from "./deadline.ts";
export { DeadlineError } from "./deadline-error.ts";
export { timeLeftMs } from "./deadline-key.ts";
export type { DeadlineLimits, DeadlineOptions } from "./deadline-options.ts";
export { hedging } from "./hedging.ts";
export type { HedgeEvent, HedgingOptions } from "./hedging-options.ts";
export { isIdempotent } from "./idempotency.ts";
export type { CallKey } from "./internal/keyed-call.ts";
export {
  type CallPolicy,
  type PolicyContext,
  type PolicyInterceptorOptions,
  policyInterceptor,
} from "./policy-interceptor.ts";
export { type CallPropagation, createCallPropagation, type PropagationOptions } from "./propagation.ts";
export { createRateLimit, type RateLimit, type RateLimitEvent, type RateLimitSnapshot } from "./rate-limit.ts";
export type { LimitedHttpRequest, LimitedHttpResponse } from "./rate-limit-answer.ts";
export { RateLimitError } from "./rate-limit-error.ts";
export type { RateLimitOptions } from "./rate-limit-options.ts";
export { retry } from "./retry.ts";
export {
  createRetryBudget,
  type RetryBudget,
  type RetryBudgetOptions,
  type RetryBudgetSnapshot,
} from "./retry-budget.ts";
export { type RetryDelay, readRetryDelay, retryLater } from "./retry-delay.ts";
export type { RetryEvent, RetryOptions } from "./retry-options.ts";
export { type RequestSource, requestSourceKey } from "./retry-source.ts";
export type { WindowCounts } from "./sliding-window.ts";
export {
  type TokenBucketConfig,
  type TokenBucketResult,
  type TokenBucketState,
  take,
  tokenBucket,
} from "./token-bucket.ts";
export { isUnprocessed, markUnprocessed } from "./unprocessed.ts";

// For servers and interceptors, which meet in these context values.

export { type CallDeadline, deadlineKey } from "./deadline-key.ts";
export { nodePeer, socketPeer } from "./node-peer.ts";
export { type Peer, type PeerTls, peerKey } from "./peer.ts";
export { peerName } from "./peer-name.ts";
export { type VerifiedIdentity, verifiedIdentityKey } from "./verified-identity.ts";
