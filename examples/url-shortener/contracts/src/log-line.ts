import type { Client } from "@connectrpc/connect";
import type { HealthReporter } from "@cpg/core";
import type { RegistryClient } from "@cpg/registry";
import { loggerPlugin } from "./gen/capability/logger/v1/logger_cpg.ts";
import type { Logger } from "./gen/capability/logger/v1/logger_pb.ts";

/** Writes a line through the logger, if there is one. Never fails, and nobody waits for it. */
export type LogLine = (message: string) => void;

const timeoutMs = 5_000;
/** Lines under way at a time; further ones are dropped. */
const maxUnderWay = 100;

/**
 * Logs through whoever provides "logger" now, and lives without: the service calls itself degraded as long as nobody does.
 * Ends with `signal`.
 */
export function logThroughHost(registry: RegistryClient, health: HealthReporter, signal: AbortSignal): LogLine {
  const log: Client<typeof Logger> = registry.service(loggerPlugin);
  let underWay = 0;
  void followLogger(registry, health, signal);
  return (message) => {
    if (underWay >= maxUnderWay || signal.aborted) return;
    underWay++;
    log
      .log({ level: "info", message }, { timeoutMs })
      .catch(() => {}) // degraded, and said so
      .finally(() => {
        underWay--;
      });
  };
}

async function followLogger(registry: RegistryClient, health: HealthReporter, signal: AbortSignal): Promise<void> {
  try {
    for await (const { state } of registry.watch("logger", { signal })) {
      const missing = state === "unavailable";
      health.setHealth({
        state: missing ? "degraded" : "healthy",
        reason: missing ? "nobody logs" : "",
        unavailableDependencies: missing ? ["logger"] : [],
      });
    }
  } catch (reason) {
    if (!signal.aborted) console.error("the watch of the logger ended:", reason);
  }
}
