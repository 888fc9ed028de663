// The suite's own server behind our router: router-under-test.ts REFERENCE_SERVER. What the runner calls is a host with a
// registry, at which the reference server is registered; see in-front-of-router.ts.
import { createClient } from "@connectrpc/connect";
import { openCallTransport, parseEndpoint, serve } from "@cpg/core";
import { ServiceRegistry } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { createRegistry } from "@cpg/registry";
import { ConformanceService } from "./gen/connectrpc/conformance/v1/service_pb.ts";
import { inFrontOfRouter, type RoutedAs } from "./in-front-of-router.ts";
import { tlsOf } from "./open-server.ts";
import { readCompatRequest } from "./read-compat-request.ts";
import { startReferenceServer } from "./reference-server.ts";
import { tellCompatResponse } from "./tell-compat-response.ts";

const [, , binary = ""] = process.argv;
const request = await readCompatRequest();
const reference = await startReferenceServer(binary, request);
const { certificate } = reference;
const path = `/${ConformanceService.typeName}/`;
const tls = tlsOf(request);
let routedAs: RoutedAs | undefined;

const registry = createRegistry({ upstreamTls: certificate && { ca: certificate } });
const host = await serve({
  plugins: {},
  impls: {},
  listen: { port: 0 },
  // The plugin below shows no certificate of a client.
  tls: tls && { ...tls, rejectUnauthorized: false },
  link: false,
  handleSignals: false,
  environment: {},
  extensions: [
    inFrontOfRouter(registry, path, () => {
      if (routedAs === undefined) throw new Error("a call came before the provider was registered");
      return routedAs;
    }),
  ],
});

// The part of the plugin, which registers the reference server as its own.
const { identity, token } = host.identities.issue({
  selfId: "reference",
  peer: { network: "tcp", address: "127.0.0.1", port: undefined, tls: undefined },
});
const headers = { "x-plugin-runtime-id": identity.runtimeId, authorization: `Bearer ${token}` };
const calls = openCallTransport({
  endpoint: parseEndpoint(host.endpoint),
  httpVersion: "1.1",
  ...(tls && { tls: { rejectUnauthorized: false } }),
});
await createClient(ServiceRegistry, calls.transport).registerService(
  {
    serviceType: "conformance",
    version: "1.0.0",
    endpointPath: "/",
    metadata: { base_url: `${certificate ? "https" : "http"}://${reference.authority}` },
  },
  { headers },
);
await calls.close();
routedAs = { prefix: `/services/conformance/${identity.runtimeId}`, headers };

tellCompatResponse(request, {
  port: Number(new URL(host.endpoint).port),
  async close() {
    await host.close({ graceMs: 0 });
    await reference.close();
  },
});
