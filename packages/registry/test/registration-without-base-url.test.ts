import { serve } from "@cpg/core";
import { expect, it } from "vitest";
import { createRegistry } from "../src/create-registry.ts";

const cookie = { magicCookieKey: "CONNECT_PLUGIN", magicCookieValue: "d3f40b3c2e1a5f8b9c4d7e6a1b2c3d4e" };

async function post(url: string, body: object, headers: Record<string, string> = {}) {
  const init = {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  };
  const response = await fetch(url, init);
  return { status: response.status, body: (await response.json()) as Record<string, string> };
}

it("a plugin that does not say where it listens registers, is seen as unavailable, and gets no calls", async () => {
  const registry = createRegistry();
  await using host = await serve({
    plugins: {},
    impls: {},
    extensions: [registry],
    listen: { port: 0 },
    environment: {},
    handleSignals: false,
  });
  const api = `${host.endpoint}/connectplugin.v1`;
  const hello = { coreProtocolVersion: 1, appProtocolVersion: 1, ...cookie, selfId: "cache-plugin" };
  const { body: identity } = await post(`${api}.HandshakeService/Handshake`, hello);
  const proof = {
    "x-plugin-runtime-id": identity.runtimeId ?? "",
    authorization: `Bearer ${identity.runtimeToken}`,
  };
  const ask = (method: string, body: object) => post(`${api}.ServiceRegistry/${method}`, body, proof);

  const service = { serviceType: "cache", version: "1.0.0", endpointPath: "/cache.v1.Cache/" };
  const registered = await ask("RegisterService", service);
  expect(registered).toMatchObject({ status: 200, body: { registrationId: expect.any(String) } });
  expect(registry.services()).toMatchObject([
    {
      state: "unavailable",
      endpoint: undefined,
      providers: [{ health: "unhealthy", reason: expect.stringContaining("base_url") }],
    },
  ]);

  expect(await ask("DiscoverService", { serviceType: "cache" })).toMatchObject({
    status: 503,
    body: { code: "unavailable" },
  });
  const named = await post(`${host.endpoint}/services/cache/${identity.runtimeId}/Get`, {}, proof);
  expect(named).toMatchObject({
    status: 503,
    body: { code: "unavailable", message: expect.stringContaining("base_url") },
  });
  const any = await post(`${host.endpoint}/services/cache/-/Get`, {}, proof);
  expect(any).toMatchObject({ status: 503, body: { code: "unavailable" } });

  // As soon as it says where it is, it is called there.
  await ask("RegisterService", { ...service, metadata: { base_url: "http://127.0.0.1:1" } });
  expect(registry.services()).toMatchObject([{ state: "available", providers: [{ health: "healthy" }] }]);
  await ask("RegisterService", service);
  expect(registry.services()).toMatchObject([{ state: "unavailable" }]);

  const again = await ask("RegisterService", service);
  const { registrationId } = again.body;
  expect(await ask("UnregisterService", { registrationId })).toMatchObject({ status: 200 });
  expect(registry.services()).toEqual([]);
});
