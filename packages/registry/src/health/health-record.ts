import type { HealthFacts } from "./combined-health.ts";
import { neverEjected } from "./ejection.ts";
import type { HealthReport } from "./health-monitor.ts";
import { presumedAlive } from "./liveness.ts";

/** A provider whose health is followed. */
export interface HealthRecord {
  readonly id: string;
  facts: HealthFacts;
  /** How often it was proven dead: what a probe that began before the last time met is older than that proof. */
  deaths: number;
  /** Its token has expired: it stays only as long as it answers. */
  expired: boolean;
}

export function createHealthRecord(id: string, report: HealthReport | undefined): HealthRecord {
  const facts = { report, opinion: undefined, liveness: presumedAlive, ejection: neverEjected };
  return { id, facts, deaths: 0, expired: false };
}
