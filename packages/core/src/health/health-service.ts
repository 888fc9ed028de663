import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { type HealthService, ServingStatus as WireStatus } from "../gen/connectplugin/health/v1/health_pb.ts";
import type { HealthReporter, ServingStatus } from "./health-reporter.ts";

const wireStatus = {
  serving: WireStatus.SERVING,
  "not-serving": WireStatus.NOT_SERVING,
  unknown: WireStatus.SERVICE_UNKNOWN,
} as const satisfies Record<ServingStatus | "unknown", WireStatus>;

/** connectplugin.health.v1.HealthService over a reporter. */
export function createHealthService(health: HealthReporter): ServiceImpl<typeof HealthService> {
  return {
    check({ service }) {
      const status = health.status(service);
      if (status === undefined) throw new ConnectError("service names no plugin of this server", Code.NotFound);
      return { status: wireStatus[status] };
    },
    async *watch({ service }, { signal }) {
      for await (const status of health.watch(service, signal)) yield { status: wireStatus[status] };
      // Cut by its caller or its deadline, not ended by the server.
      signal.throwIfAborted();
    },
  };
}
