import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { RuntimeIdentity } from "@cpg/core";
import { checkFreeText, checkName, invalidField } from "@cpg/core/extension";
import { HealthState } from "@cpg/core/gen/connectplugin/v1/health_pb";
import type { PluginLifecycle, ReportHealthRequest } from "@cpg/core/gen/connectplugin/v1/lifecycle_pb";
import type { HealthMonitor, HealthReport } from "../health/health-monitor.ts";
import type { HealthLevel } from "../health/provider-health.ts";

export interface PluginLifecycleDeps {
  readonly health: Pick<HealthMonitor, "report">;
  /** The verified caller. @throws {ConnectError} `unauthenticated`. */
  callerOf(context: HandlerContext): RuntimeIdentity;
}

const maxReasonBytes = 4096;
const maxDependencies = 100;

/** connectplugin.v1.PluginLifecycle: a plugin can report only its own health. */
export function createPluginLifecycleService(deps: PluginLifecycleDeps): ServiceImpl<typeof PluginLifecycle> {
  return {
    reportHealth(request, context) {
      const { runtimeId } = deps.callerOf(context);
      deps.health.report(runtimeId, readReport(request));
      return {};
    },
  };
}

/** @throws {ConnectError} `invalid_argument`, naming the field and the rule. */
function readReport({ state, reason, unavailableDependencies }: ReportHealthRequest): HealthReport {
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
