import type { HealthLevel } from "./provider-health.ts";

/** What a plugin says of itself. */
export interface HealthReport {
  readonly level: HealthLevel;
  readonly reason: string;
  readonly unavailableDependencies: readonly string[];
}

/**
 * How a call to a provider ended, as the router saw it.
 *
 * ok: it answered, and the answer is no failure of the server.
 * failed: it answered with a failure of the server's own (HTTP 5xx, gRPC unavailable, internal, unknown, data_loss).
 * refused: nobody listens there. reset: the connection broke before an answer. timeout: no connection in time.
 */
export type CallResult = "ok" | "failed" | "refused" | "reset" | "timeout";

/** Follows the health of providers and tells the registry when it changes. */
export interface HealthMonitor {
  /** What PluginLifecycle.ReportHealth brought. */
  report(providerId: string, report: HealthReport): void;
  /** The router's result of one call. Cheap. */
  callEnded(providerId: string, result: CallResult): void;
  /** Stops all probes; resolves when none is under way. Idempotent. */
  close(): Promise<void>;
}
