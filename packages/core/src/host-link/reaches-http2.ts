import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import { HealthService } from "../gen/connectplugin/health/v1/health_pb.ts";
import { within } from "../internal/bounded.ts";
import { failureOf } from "./link-error.ts";

export interface ReachOptions {
  /** Bound on the call, in ms. */
  readonly attemptMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Whether a host that announces HTTP/2 is reached over it: a proxy before it may speak HTTP/1.1 only. One call has to get
 * an answer, whatever that says.
 * @throws the reason of `signal`.
 */
export async function reachesHttp2(transport: Transport, { attemptMs, clock, signal }: ReachOptions): Promise<boolean> {
  try {
    await within(
      clock,
      attemptMs,
      (attempt) => createClient(HealthService, transport).check({}, { signal: attempt }),
      () => new ConnectError("no answer over HTTP/2", Code.DeadlineExceeded),
      signal,
    );
    return true;
  } catch (reason) {
    signal.throwIfAborted();
    return failureOf(ConnectError.from(reason)) !== "unavailable";
  }
}
