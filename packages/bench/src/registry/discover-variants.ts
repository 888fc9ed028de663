import assert from "node:assert/strict";
import { createClient } from "@connectrpc/connect";
import { openCallTransport, parseEndpoint } from "@cpg/core";
import { HealthService } from "@cpg/core/gen/connectplugin/health/v1/health_pb";
import { ServiceRegistry } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { forkServer } from "../launch/forked-server.ts";
import { runLanes } from "../launch/run-lanes.ts";
import type { RouterAddress } from "../routing/routing-variants.ts";
import type { Variant } from "../table.ts";

export const discoverMeasure = "RPC of the host, 64 at a time";
export const healthCheck = "HealthService.Check";
const discover = "ServiceRegistry.DiscoverService";

const lanes = 64;

function hostVariant(name: string, open: (calls: Calls) => () => Promise<void>): Variant {
  return {
    name,
    async setup() {
      const provider = await forkServer(new URL("../routing/raw-echo-main.ts", import.meta.url), []);
      const forked = await forkServer(new URL("../routing/router-main.ts", import.meta.url), [provider.address]);
      const { address, headers }: RouterAddress = JSON.parse(forked.address);
      const calls = openCallTransport({ endpoint: parseEndpoint(`http://${address}`), httpVersion: "2" });
      const call = open({ transport: calls.transport, headers: new Headers(headers as Record<string, string>) });
      return {
        cases: new Map([
          [
            discoverMeasure,
            { kind: "timed", check: call, run: (count) => runLanes(count, lanes, call), leastCalls: 4 * lanes },
          ],
        ]),
        async close() {
          await calls.close();
          await forked.close();
          await provider.close();
        },
      };
    },
  };
}

interface Calls {
  readonly transport: ReturnType<typeof openCallTransport>["transport"];
  readonly headers: Headers;
}

export const discoverVariants: readonly Variant[] = [
  hostVariant(healthCheck, ({ transport }) => {
    const health = createClient(HealthService, transport);
    return async () => assert.equal((await health.check({})).status, 1);
  }),
  hostVariant(discover, ({ transport, headers }) => {
    const registry = createClient(ServiceRegistry, transport);
    return async () => {
      const { endpoint } = await registry.discoverService({ serviceType: "echo" }, { headers });
      assert.equal(endpoint?.version, "1.0.0");
    };
  }),
];
