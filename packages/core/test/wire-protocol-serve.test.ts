import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { openAdmission } from "../src/identity/admission.ts";
import { serve } from "../src/server/serve.ts";
import type { ServeOptions } from "../src/server/serve-options.ts";
import { greeting, handshakePath, logger, post, releasePath, renewPath } from "./wire-protocol-server.ts";

const plugins = { logger };

async function start(options: Partial<ServeOptions<typeof plugins>> = {}) {
  const clock = new FakeClock();
  const impls = { logger: { log: () => ({}) } };
  const server = await serve({
    plugins,
    impls,
    listen: { port: 0 },
    environment: {},
    handleSignals: false,
    link: false,
    clock,
    ...options,
  });
  return { server, clock, port: Number(new URL(server.endpoint).port), [Symbol.asyncDispose]: () => server.close() };
}

describe("serve, on the wire", () => {
  it("shakes hands, announces what it can do, and gives out identities that work", async () => {
    await using host = await start({ identityTtlMs: 5_000, serverMetadata: { a: "b" }, appProtocolVersions: [1, 2] });
    const request = { ...greeting, appProtocolVersions: [2, 3], requestedPlugins: ["logger"], selfId: "Plugin" };
    const { status, body } = await post(host.port, handshakePath, request);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      appProtocolVersion: 2,
      plugins: [{ name: "logger" }],
      serverMetadata: { a: "b", "cpg.http": "1.1,2", "cpg.runtime": "1" },
      runtimeTokenTtl: "5s",
    });
    const headers = { "x-plugin-runtime-id": String(body?.runtimeId), authorization: `Bearer ${body?.runtimeToken}` };
    expect(await post(host.port, renewPath, {}, headers)).toMatchObject({ status: 200, body: { ttl: "5s" } });
    expect((await post(host.port, releasePath, {}, headers)).status).toBe(200);
    expect(await post(host.port, renewPath, {}, headers)).toMatchObject({
      status: 401,
      body: { code: "unauthenticated" },
    });
  });

  it("lets its clock expire identities", async () => {
    await using host = await start({ identityTtlMs: 5_000 });
    const { body } = await post(host.port, handshakePath, { ...greeting, selfId: "a" });
    const headers = { "x-plugin-runtime-id": String(body?.runtimeId), authorization: `Bearer ${body?.runtimeToken}` };
    await host.clock.advance(5_000);
    expect((await post(host.port, renewPath, {}, headers)).status).toBe(401);
  });

  it.each([{ via: "1.1 proxy" }, { "x-forwarded-for": "127.0.0.1" }, { origin: "null" }, { host: "evil.example" }])(
    "admits only loopback peers unless it is told otherwise: %o",
    async (headers) => {
      await using host = await start();
      await using open = await start({ admission: openAdmission() });
      const named = { ...greeting, selfId: "a" };
      const statuses = [
        (await post(host.port, handshakePath, named)).status,
        (await post(host.port, handshakePath, named, headers)).status,
        (await post(open.port, handshakePath, named, headers)).status,
      ];
      expect(statuses).toEqual([200, 403, 200]);
    },
  );

  it("caps live identities", async () => {
    await using host = await start({ maxIdentities: 1, identityTtlMs: 5_000 });
    const { body } = await post(host.port, handshakePath, { ...greeting, selfId: "a" });
    const headers = { "x-plugin-runtime-id": String(body?.runtimeId), authorization: `Bearer ${body?.runtimeToken}` };
    expect((await post(host.port, renewPath, {}, headers)).status).toBe(200);
    const second = await post(host.port, handshakePath, { ...greeting, selfId: "b" });
    expect(second).toMatchObject({
      status: 429,
      headers: { "retry-after": "5" },
      body: { code: "resource_exhausted" },
    });
  });

  it("takes only its own cookie", async () => {
    await using host = await start({ magicCookie: { key: "MINE", value: "1" } });
    const own = { ...greeting, magicCookieKey: "MINE", magicCookieValue: "1" };
    expect((await post(host.port, handshakePath, own)).status).toBe(200);
    expect((await post(host.port, handshakePath, greeting)).status).toBe(400);
  });
});
