import { Code, type Interceptor } from "@connectrpc/connect";
import { createPluginClient } from "@cpg/core";
import { kvPlugin as kv } from "@cpg/example-kv";
import { clientDeadline, createCircuitBreaker, type RetryEvent, type RetryOptions, retry } from "@cpg/resilience";

/** A get may be repeated, although kv.proto does not say so. All else is, if it is proven that it did not run. */
const repeatGets: RetryOptions["retryIf"] = ({ code }, { method }) =>
  method.name === "Get" && (code === Code.Unavailable || code === Code.DeadlineExceeded) ? true : undefined;

/** A client of the KV plugin that shows no credentials, and keeps its calls short, safe and away from what is down. */
export function createResilientClient(endpoint: string, onRetry: (event: RetryEvent) => void) {
  const breaker = createCircuitBreaker({ failureThreshold: 5, openMs: 3_000, successThreshold: 2 });
  // The first is outermost: the deadline is for all attempts together, and the breaker sees each of them.
  const interceptors: readonly Interceptor[] = [
    clientDeadline({ defaultMs: 1_500, maxMs: 60_000 }),
    retry({
      maxAttempts: 10,
      perAttemptTimeoutMs: 500,
      backoff: { initialMs: 20, maxMs: 200, jitter: "equal" },
      retryIf: repeatGets,
      onRetry,
    }),
    breaker.interceptor,
  ];
  // A client of a plugin has a time-out of its own, 60 s, which would leave nothing for the default of the deadline.
  const client = createPluginClient({ endpoint, plugins: { kv }, interceptors, callTimeoutMs: 0 });
  return { breaker, client };
}
