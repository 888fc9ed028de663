import { checkFreeText, checkName, invalidField } from "@cpg/core/extension";
import { HealthState } from "@cpg/core/gen/connectplugin/v1/health_pb";
import type { HealthReport } from "./health-monitor.ts";
import type { HealthLevel } from "./provider-health.ts";

const maxReasonBytes = 4096;
const maxDependencies = 100;

/** What a plugin says of its health, in a report as in an answer to a probe. */
export interface HealthMessage {
  readonly state: HealthState;
  readonly reason: string;
  readonly unavailableDependencies: readonly string[];
}

/** @throws {ConnectError} `invalid_argument`, naming the field and the rule. */
export function readHealthReport({ state, reason, unavailableDependencies }: HealthMessage): HealthReport {
  const level = levelOf(state);
  checkFreeText("reason", reason, maxReasonBytes);
  if (unavailableDependencies.length > maxDependencies) {
    throw invalidField(
      "unavailable_dependencies",
      `must have at most ${maxDependencies} entries, has ${unavailableDependencies.length}`,
    );
  }
  for (const [index, type] of unavailableDependencies.entries()) checkName(`unavailable_dependencies[${index}]`, type);
  return { level, reason, unavailableDependencies: [...unavailableDependencies] };
}

function levelOf(state: HealthState): HealthLevel {
  switch (state) {
    case HealthState.HEALTHY:
      return "healthy";
    case HealthState.DEGRADED:
      return "degraded";
    case HealthState.UNHEALTHY:
      return "unhealthy";
    default:
      throw invalidField("state", "must be HEALTH_STATE_HEALTHY, HEALTH_STATE_DEGRADED or HEALTH_STATE_UNHEALTHY");
  }
}
