import type { HealthReporter } from "@cpg/core";
import type { PlatformEntry } from "./platform-entry.ts";

/** Names of plugins that a reason repeats. */
const maxNames = 10;

/**
 * What a host says of its health: it is not ready while a plugin that is not optional starts for the first time, or once
 * one is given up; it is degraded while one is away that comes back.
 */
export function tellReadiness(health: Pick<HealthReporter, "setHealth">, entries: Iterable<PlatformEntry>): void {
  const absent: string[] = [];
  const away: string[] = [];
  for (const { id, plugin, run, operation } of entries) {
    if (plugin.optional === true || operation === "remove") continue;
    const { kind } = run.state;
    if (kind === "running") continue;
    const text = `${id} is ${kind}`;
    if (operation === "add" || kind === "failed" || kind === "crash-looping") absent.push(text);
    else away.push(text);
  }
  const names = [...absent, ...away];
  const more = names.length > maxNames ? [`and ${names.length - maxNames} more`] : [];
  health.setHealth({
    state: absent.length > 0 ? "unhealthy" : away.length > 0 ? "degraded" : "healthy",
    reason: [...names.slice(0, maxNames), ...more].join(", "),
    unavailableDependencies: [],
  });
}
