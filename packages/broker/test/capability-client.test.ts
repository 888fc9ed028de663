import { Code } from "@connectrpc/connect";
import { type HostLink, serve } from "@cpg/core";
import { describe, expect, it } from "vitest";
import {
  type BrokerOptions,
  CapabilityError,
  capability,
  defineCapability,
  holdCapability,
  hostLogger,
  LoggerCapability,
} from "../src/index.ts";
import { startBrokerHost } from "./support/broker-host.ts";
import { EchoService, echo } from "./support/echo-service.ts";

const Echo = { type: "echo", version: "1.0.0", service: EchoService } as const;

interface Written {
  readonly plugin: string;
  readonly message: string;
}

function writeTo(lines: Written[]) {
  const write = (fields: object, message: string) =>
    void lines.push({ plugin: (fields as { plugin: string }).plugin, message });
  return { debug: write, info: write, warn: write, error: write };
}

async function startPlugin(hostUrl: string, selfId: string, requires: readonly string[]) {
  const plugin = await serve({
    plugins: {},
    impls: {},
    selfId,
    declares: { requires: requires.map((type) => ({ type })) },
    link: { hostUrl, heartbeatMs: 50, backoff: { initialMs: 10, maxMs: 50 } },
    listen: { port: 0 },
    environment: {},
    handleSignals: false,
  });
  const { link } = plugin;
  if (link === undefined) throw new Error("a program with a host has a link");
  await link.whenLinked();
  return { plugin, link };
}

function identityAfter(link: HostLink, before: string | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  link.onIdentityChange((identity) => {
    if (identity !== undefined && identity.runtimeId !== before) resolve();
  });
  return promise;
}

const options = (lines: Written[]): BrokerOptions => ({
  capabilities: [
    hostLogger(writeTo(lines)),
    defineCapability(EchoService, echo, { type: "echo", version: "1.0.0", requireHolderProof: true }),
  ],
});

describe("a plugin of ours under a host of ours", () => {
  it("logs through its host, goes on after a revocation, and after a restart of the host", async () => {
    const lines: Written[] = [];
    const first = await startBrokerHost(options(lines));
    const { plugin, link } = await startPlugin(first.endpoint, "greeter", ["logger"]);
    await using _ = plugin;
    await using log = capability(link, LoggerCapability);
    const before = link.identity?.runtimeId;

    await Promise.all([log.log({ message: "one" }), log.log({ message: "two" })]);
    expect(first.broker.grants()).toMatchObject([{ type: "logger", version: "1.0.0", holder: before }]);

    expect(first.broker.revokeCapability("logger", "test")).toBe(1);
    await log.log({ message: "three" });
    expect(first.broker.grants()).toHaveLength(1);

    const linkedAgain = identityAfter(link, before);
    await first[Symbol.asyncDispose]();
    await using second = await startBrokerHost(options(lines), { port: Number(new URL(first.endpoint).port) });
    await linkedAgain;
    await log.log({ message: "four" });
    const after = link.identity?.runtimeId;
    expect(after).not.toBe(before);
    expect(second.broker.grants()).toMatchObject([{ type: "logger", holder: after }]);
    expect(lines.toSorted((a, b) => a.message.localeCompare(b.message))).toEqual([
      { plugin: after, message: "four" },
      { plugin: before, message: "one" },
      { plugin: before, message: "three" },
      { plugin: before, message: "two" },
    ]);
  });

  it("gets only what it declared to require, and hears why not", async () => {
    await using host = await startBrokerHost(options([]));
    const { plugin, link } = await startPlugin(host.endpoint, "greeter", ["logger"]);
    await using _ = plugin;
    await using talk = capability(link, Echo);
    const error = await talk.unary({ text: "x" }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: Code.PermissionDenied,
      rawMessage: expect.stringContaining("did not declare to require it"),
      cause: expect.any(CapabilityError),
    });
    expect(host.broker.grants()).toEqual([]);
  });

  it("proves that it holds its grants, passes on narrower ones, and gives them back", async () => {
    await using host = await startBrokerHost(options([]));
    const [a, b] = await Promise.all(["alice", "bob"].map((selfId) => startPlugin(host.endpoint, selfId, ["echo"])));
    if (a === undefined || b === undefined) throw new Error("there are two plugins");
    await using _a = a.plugin;
    await using _b = b.plugin;
    const held = holdCapability(a.link, Echo);
    expect((await held.client.unary({ text: "x" })).text).toBe("alice: x");
    const given = await held.derive({
      holder: b.link.identity?.runtimeId ?? "",
      methods: ["cpg.test.v1.EchoService/Unary"],
    });
    await using talk = capability(b.link, Echo, { grant: given });
    expect((await talk.unary({ text: "y" })).text).toBe("bob: y");
    const stream = talk.serverStream({ text: "y" })[Symbol.asyncIterator]();
    await expect(stream.next()).rejects.toMatchObject({ code: Code.PermissionDenied });
    expect(host.broker.grants()).toHaveLength(2);

    await held.close();
    expect(host.broker.grants()).toEqual([]);
    await expect(talk.unary({ text: "z" })).rejects.toMatchObject({ cause: { fault: "ended" } });
  });
});
