import { type PluginServer, serve } from "@cpg/core";
import { describe, expect, it } from "vitest";
import { capability, LoggerCapability } from "../src/index.ts";
import { plainBroker, type SeenCall } from "./support/plain-broker.ts";

const environment = {};

async function startHost(seen: SeenCall[], port = 0): Promise<PluginServer> {
  return await serve({
    plugins: {},
    impls: {},
    extensions: [plainBroker(seen)],
    listen: { port },
    environment,
    handleSignals: false,
  });
}

async function startPlugin(hostUrl: string) {
  const plugin = await serve({
    plugins: {},
    impls: {},
    selfId: "greeter",
    link: { hostUrl, heartbeatMs: 50, backoff: { initialMs: 10, maxMs: 50 } },
    listen: { port: 0 },
    environment,
    handleSignals: false,
  });
  const { link } = plugin;
  if (link === undefined) throw new Error("a program with a host has a link");
  await link.whenLinked();
  return { plugin, link };
}

describe("a capability client on sockets", () => {
  it("calls its own host, whatever name that gives itself, and proves who holds the grant", async () => {
    const seen: SeenCall[] = [];
    await using host = await startHost(seen);
    const { plugin, link } = await startPlugin(host.endpoint);
    await using _ = plugin;
    const log = capability(link, LoggerCapability);
    await Promise.all([log.log({ message: "one" }), log.log({ message: "two" })]);
    const call = { path: "/capabilities/logger/id_1==", runtimeId: link.identity?.runtimeId, isProven: true };
    expect(seen.toSorted((a, b) => (a.message < b.message ? -1 : 1))).toEqual([
      { ...call, message: "one" },
      { ...call, message: "two" },
    ]);
  });

  it("has another grant after a restart of the host", async () => {
    const seen: SeenCall[] = [];
    const first = await startHost(seen);
    const { plugin, link } = await startPlugin(first.endpoint);
    await using _ = plugin;
    const log = capability(link, LoggerCapability);
    await log.log({ message: "before" });
    const before = link.identity?.runtimeId;
    const { promise: changed, resolve } = Promise.withResolvers<void>();
    link.onIdentityChange((identity) => {
      if (identity !== undefined && identity.runtimeId !== before) resolve();
    });
    await first.close();
    await using _second = await startHost(seen, Number(new URL(first.endpoint).port));
    await changed;
    await log.log({ message: "after" });
    expect(seen.map(({ message, runtimeId }) => [message, runtimeId])).toEqual([
      ["before", before],
      ["after", link.identity?.runtimeId],
    ]);
  });
});
