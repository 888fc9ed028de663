import { fileURLToPath } from "node:url";
import { Code, type ServiceImpl } from "@connectrpc/connect";
import { definePlugin, launchPlugin, type ManagingHost, memoryStrategy, nodeStrategy } from "@cpg/core";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { startAttachHost } from "./support/attach-host.ts";
import { foreignServices, startForeign } from "./support/foreign-plugin.ts";
import { RelayService } from "./support/relay-service.ts";

const relay = definePlugin({
  name: "relay",
  version: "1.2.0",
  service: RelayService,
  provides: [{ type: "relay", version: "1.2.0" }],
});
const impls = {
  relay: { unary: (request) => request } as Partial<ServiceImpl<typeof RelayService>> as ServiceImpl<
    typeof RelayService
  >,
};

function launchInMemory(options: { readonly link?: false; readonly host?: ManagingHost } = {}) {
  const { link, host } = options;
  return launchPlugin({ strategy: memoryStrategy({ plugins: { relay }, impls, link }), plugins: { relay }, host });
}

describe("a plugin that this process launched", () => {
  it("in memory is an upstream without a socket, until it ends", async () => {
    await using host = await startAttachHost();
    await using plugin = await launchInMemory();
    const attached = await host.attacher.attach(plugin, { registerWaitMs: 60_000 });
    const [registration] = host.store.ofType("relay");
    expect(registration?.providerId).toBe(attached.identity.runtimeId);
    expect(registration?.upstream).toEqual({ kind: "direct", endpoint: plugin.direct, plugins: { relay } });
    expect(await attached.health()).toMatchObject({ level: "healthy" });
    await plugin.stop();
    await attached.detached;
    expect(host.registered()).toEqual([]);
    expect(host.identities.size).toBe(0);
  });

  it("is stopped when it is to shut down", async () => {
    await using host = await startAttachHost();
    await using plugin = await launchInMemory({ link: false });
    const attached = await host.attacher.attach(plugin);
    expect(host.registered()).toEqual([`relay 1.2.0 relay /${RelayService.typeName}/`]);
    await attached.shutdown({ graceMs: 60_000 });
    await plugin.exited;
    await attached.detached;
    expect(host.registered()).toEqual([]);
    await expect(host.attacher.attach(plugin)).rejects.toMatchObject({ code: Code.Unavailable });
  });

  it("keeps the identity that it got at its launch", async () => {
    await using host = await startAttachHost();
    await using plugin = await launchInMemory({ host: host.server });
    const attached = await host.attacher.attach(plugin, { registerWaitMs: 0 });
    expect(attached.identity).toBe(plugin.identity);
    const twice = host.attacher.attach(plugin);
    await expect(twice).rejects.toMatchObject({ code: Code.FailedPrecondition });
    // What was refused the second attempt is still attached.
    expect(host.store.provider(attached.identity.runtimeId)).toBeDefined();
    attached.detach();
    expect(host.identities.size).toBe(0);
  });

  it("as a process is reached over its private socket, and gone when it is killed", async () => {
    await using host = await startAttachHost();
    const entry = fileURLToPath(new URL("./support/launched-relay.ts", import.meta.url));
    await using plugin = await launchPlugin({ strategy: nodeStrategy({ entry }), plugins: { relay } });
    const attached = await host.attacher.attach(plugin, { registerWaitMs: 60_000 });
    const [registration] = host.store.ofType("relay");
    expect(registration?.upstream).toMatchObject({ kind: "unix", path: plugin.endpoint.slice("unix:".length) });
    expect(await attached.health()).toMatchObject({ level: "healthy" });
    await plugin.kill();
    await attached.detached;
    expect(host.registered()).toEqual([]);
    expect(host.identities.size).toBe(0);
  });
});

describe("the identity of an attached plugin", () => {
  it("is renewed by the host for as long as it is attached", async () => {
    const clock = new FakeClock();
    await using host = await startAttachHost({ serve: { clock, identityTtlMs: 1_000 } });
    await using plugin = await startForeign(foreignServices({ info: { selfId: "p" } }));
    const attached = await host.attacher.attach(plugin.url, { registerWaitMs: 0 });
    for (let round = 0; round < 5; round++) await clock.advance(600);
    expect(host.identities.get(attached.identity.runtimeId)).toBe(attached.identity);
    const other = host.issue({ selfId: "q" });
    for (let round = 0; round < 2; round++) await clock.advance(600);
    expect(host.identities.get(other.identity.runtimeId)).toBeUndefined();
    attached.detach();
    expect(host.identities.size).toBe(0);
    expect(host.errors).toEqual([]);
  });
});
