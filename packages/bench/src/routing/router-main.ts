// A host with a registry, and the echo server registered at it by a plugin of this process: router-main.ts HOST:PORT
import { createClient } from "@connectrpc/connect";
import { openCallTransport, parseEndpoint, serve } from "@cpg/core";
import { ServiceRegistry } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { createRegistry } from "@cpg/registry";
import { tellAddress } from "../launch/tell-address.ts";
import type { RouterAddress } from "./routing-variants.ts";

const [, , to = ""] = process.argv;
const host = await serve({
  plugins: {},
  impls: {},
  listen: { port: 0 },
  environment: {},
  extensions: [createRegistry()],
});
const { identity, token } = host.identities.issue({
  selfId: "bench",
  peer: { network: "tcp", address: "127.0.0.1", port: undefined, tls: undefined },
});
const headers = { "x-plugin-runtime-id": identity.runtimeId, authorization: `Bearer ${token}` };
const calls = openCallTransport({ endpoint: parseEndpoint(host.endpoint), httpVersion: "2" });
await createClient(ServiceRegistry, calls.transport).registerService(
  {
    serviceType: "echo",
    version: "1.0.0",
    endpointPath: "/",
    metadata: { base_url: `http://${to}`, http_versions: "2" },
  },
  { headers },
);
await calls.close();

const address: RouterAddress = {
  address: host.endpoint.slice("http://".length),
  prefix: `/services/echo/${identity.runtimeId}`,
  headers,
  pid: process.pid,
};
tellAddress(JSON.stringify(address), () => host.close({ graceMs: 0 }));
