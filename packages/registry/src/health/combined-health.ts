import type { Ejection } from "./ejection.ts";
import type { HealthReport } from "./health-monitor.ts";
import { isGone, type Liveness } from "./liveness.ts";
import { assumedHealthy, type HealthLevel, type ProviderHealth } from "./provider-health.ts";

/** All that is known of the health of a provider. */
export interface HealthFacts {
  /** What it said last. */
  readonly report: HealthReport | undefined;
  /** What it answered to the last probe, if that was something. */
  readonly opinion: HealthReport | undefined;
  readonly liveness: Liveness;
  readonly ejection: Ejection;
}

const badness: Readonly<Record<HealthLevel, number>> = { healthy: 0, degraded: 1, unhealthy: 2 };

export function isWorse(level: HealthLevel, than: HealthLevel): boolean {
  return badness[level] > badness[than];
}

/**
 * One health from all facts; the worst speaks. Pure.
 *
 * | fact, the first that holds                  | level              | source    |
 * |---------------------------------------------|--------------------|-----------|
 * | dead, or silent and hidden                  | unhealthy          | liveness  |
 * | ejected, and its own word is not unhealthy  | unhealthy          | ejection  |
 * | probe's opinion worse than the report       | that of the probe  | probe     |
 * | a report                                    | that of the report | report    |
 * | an opinion                                  | that of the probe  | probe     |
 * | nothing                                     | healthy            | assumed   |
 */
export function combinedHealth({ report, opinion, liveness, ejection }: HealthFacts): ProviderHealth {
  if (isGone(liveness)) return unhealthy("liveness", reasonOf(liveness));
  const word = ownWord(report, opinion);
  if (ejection.kind === "out" && word.level !== "unhealthy")
    return unhealthy("ejection", "too many calls in a row failed");
  return word;
}

function ownWord(report: HealthReport | undefined, opinion: HealthReport | undefined): ProviderHealth {
  if (opinion !== undefined && (report === undefined || isWorse(opinion.level, report.level))) {
    return { ...opinion, source: "probe" };
  }
  return report === undefined ? assumedHealthy : { ...report, source: "report" };
}

function unhealthy(source: ProviderHealth["source"], reason: string): ProviderHealth {
  return { level: "unhealthy", source, reason, unavailableDependencies: [] };
}

function reasonOf(liveness: Liveness): string {
  if (liveness.kind !== "dead") return "does not answer in time";
  return liveness.proof === "refused" ? "refuses connections" : "breaks connections";
}
