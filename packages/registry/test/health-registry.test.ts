import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { serve } from "@cpg/core";
import { HandshakeService } from "@cpg/core/gen/connectplugin/v1/handshake_pb";
import { HealthState } from "@cpg/core/gen/connectplugin/v1/health_pb";
import { PluginLifecycle } from "@cpg/core/gen/connectplugin/v1/lifecycle_pb";
import { ServiceRegistry, ServiceState } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { createRegistry, type HealthEvent, type RegistryOptions } from "@cpg/registry";
import { describe, expect, it } from "vitest";

/** A foreign provider, whose requests can be waited for. */
async function startProvider() {
  const waiting: (() => void)[] = [];
  const server = createServer((_request, response) => {
    for (const wake of waiting.splice(0)) wake();
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: () => new Promise<void>((resolve) => waiting.push(resolve)),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function startHost(options: RegistryOptions, identityTtlMs?: number) {
  const waiting = new Map<HealthEvent["type"], () => void>();
  const registry = createRegistry({
    health: { intervalMs: 20, graceMs: 0 },
    ...options,
    onHealth: ({ type }) => waiting.get(type)?.(),
  });
  const server = await serve({
    plugins: {},
    impls: {},
    extensions: [registry],
    listen: { port: 0 },
    environment: {},
    handleSignals: false,
    identityTtlMs,
  });
  const transport = createConnectTransport({ baseUrl: server.endpoint, httpVersion: "1.1" });
  const { runtimeId, runtimeToken } = await createClient(HandshakeService, transport).handshake({
    coreProtocolVersion: 1,
    appProtocolVersion: 1,
    magicCookieKey: "CONNECT_PLUGIN",
    magicCookieValue: "d3f40b3c2e1a5f8b9c4d7e6a1b2c3d4e",
    selfId: "logger",
  });
  const headers = { "x-plugin-runtime-id": runtimeId, authorization: `Bearer ${runtimeToken}` };
  return {
    registry,
    identities: server.identities,
    headers,
    services: createClient(ServiceRegistry, transport),
    lifecycle: createClient(PluginLifecycle, transport),
    event: (type: HealthEvent["type"]) => new Promise<void>((resolve) => waiting.set(type, resolve)),
    [Symbol.asyncDispose]: async () => void (await server.close({ graceMs: 0 })),
  };
}

function loggerAt(baseUrl: string) {
  return { serviceType: "logger", version: "1.0.0", endpointPath: "/", metadata: { base_url: baseUrl } };
}

describe("health of a registered plugin", () => {
  it("is what it reported before it registered, and watchers see what it reports later and when it dies", async () => {
    await using provider = await startProvider();
    await using host = await startHost({});
    const { headers } = host;
    await host.lifecycle.reportHealth({ state: HealthState.DEGRADED, reason: "no disk" }, { headers });
    await host.services.registerService(loggerAt(provider.baseUrl), { headers });
    expect(host.registry.providers()[0]?.health).toMatchObject({ level: "degraded", reason: "no disk" });

    const leaving = new AbortController();
    const events = host.services.watchService({ serviceType: "logger" }, { headers, signal: leaving.signal });
    const states = events[Symbol.asyncIterator]();
    const next = async () => (await states.next()).value?.state;
    expect(await next()).toBe(ServiceState.DEGRADED);
    await host.lifecycle.reportHealth({ state: HealthState.HEALTHY }, { headers });
    expect(await next()).toBe(ServiceState.AVAILABLE);
    await provider.close();
    expect(await next()).toBe(ServiceState.UNAVAILABLE);
    leaving.abort(new Error("seen enough"));
  });

  it("keeps its registration beyond its token, for as long as it answers probes", async () => {
    await using provider = await startProvider();
    await using host = await startHost({}, 1_500);
    await host.services.registerService(loggerAt(provider.baseUrl), { headers: host.headers });
    await new Promise<void>((resolve) => {
      host.identities.onEnd(() => resolve());
    });
    for (let probe = 0; probe < 3; probe++) await provider.asked();
    expect(host.registry.providers()).toHaveLength(1);
    const expired = host.event("expired");
    await provider.close();
    await expired;
    expect(host.registry.providers()).toEqual([]);
  });
});
