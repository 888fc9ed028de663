import { Code, ConnectError } from "@connectrpc/connect";
import { within } from "@cpg/core/extension";
import type { Clock } from "@cpg/resilience";
import type { Registry } from "../create-registry.ts";

export interface DrainCalls {
  readonly registry: Pick<Registry, "drain" | "idle" | "cutCalls">;
  readonly clock: Clock;
  readonly providerId: string;
  readonly graceMs: number;
  /** For the callers whose calls are cut. */
  readonly reason: string;
  /** Ends the grace early. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * A provider gets no new calls, and those that it has may finish. When the grace is over the rest is ended with
 * `unavailable`. Resolves with how many those were.
 */
export async function drainCalls(options: DrainCalls): Promise<number> {
  const { registry, clock, providerId, graceMs, reason, signal } = options;
  registry.drain(providerId);
  const over = new ConnectError(
    `provider ${providerId} is going: ${reason || "it is being removed"}`,
    Code.Unavailable,
  );
  try {
    await within(
      clock,
      graceMs,
      (cut) => registry.idle(providerId, { signal: cut }),
      () => over,
      signal,
    );
    return 0;
  } catch {
    return registry.cutCalls(providerId, over.rawMessage);
  }
}
