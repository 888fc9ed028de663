import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { RuntimeIdentity } from "@cpg/core";
import type { PluginLifecycle } from "@cpg/core/gen/connectplugin/v1/lifecycle_pb";
import type { HealthMonitor } from "../health/health-monitor.ts";
import { readHealthReport } from "../health/read-health-report.ts";

export interface PluginLifecycleDeps {
  readonly health: Pick<HealthMonitor, "report">;
  /** The verified caller. @throws {ConnectError} `unauthenticated`. */
  callerOf(context: HandlerContext): RuntimeIdentity;
}

/** connectplugin.v1.PluginLifecycle: a plugin can report only its own health. */
export function createPluginLifecycleService(deps: PluginLifecycleDeps): ServiceImpl<typeof PluginLifecycle> {
  return {
    reportHealth(request, context) {
      const { runtimeId } = deps.callerOf(context);
      deps.health.report(runtimeId, readHealthReport(request));
      return {};
    },
  };
}
