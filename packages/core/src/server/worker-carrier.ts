import { type LaunchPort, servePort } from "../worker/worker-port.ts";
import type { CarrierPlan } from "./carrier.ts";
import { createCarriedMemoryServer } from "./memory-carrier.ts";

/** Calls from the thread that launched this one. */
export function planWorkerCarrier(port: LaunchPort): CarrierPlan {
  return {
    localOnly: true,
    privateSocket: false,
    httpVersions: undefined,
    async open(server) {
      // Messages come out of bytes, and nobody else has them.
      const memory = createCarriedMemoryServer(server, true);
      const served = servePort(port, memory, { onError: (error) => server.onError(error) });
      return {
        endpoint: port.endpoint,
        address: { kind: "worker" },
        tellReady: () => served.ready(),
        async drain(graceMs) {
          await memory.drain(graceMs);
          await served.close();
        },
      };
    },
  };
}
