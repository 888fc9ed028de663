import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { LaunchError, launchPlugin, nodeStrategy } from "@cpg/core";
import { PluginControl, PluginIdentity } from "@cpg/core/gen/connectplugin/v1/plugin_pb";
import { RuntimeService } from "@cpg/core/gen/cpg/runtime/v1/runtime_pb";
import { describe, expect, it } from "vitest";
import { openCallTransport } from "../src/wire/call-transport.ts";
import { parseEndpoint } from "../src/wire/endpoint.ts";
import { echo, serveEcho } from "./support/started-server.ts";

const linked = fileURLToPath(new URL("./fixtures/linked-plugin.ts", import.meta.url));

describe("a managed plugin", () => {
  it("gets an identity of its host, calls the host with it, and loses it when it ends", async () => {
    await using host = await serveEcho();
    const plugin = await launchPlugin({ strategy: nodeStrategy({ entry: linked }), plugins: { echo }, host });
    const { identity } = plugin;
    expect(identity?.selfId).toBe("linked");
    expect(inspect(plugin, { depth: 9 }) + JSON.stringify(plugin)).not.toContain(plugin.controlToken);
    // The plugin answers with the runtime id of its link, once its link can call the host.
    const { text } = await (await plugin.dispense("echo")).unary({ text: "who are you?" });
    expect(text).toBe(identity?.runtimeId);
    const ended = new Promise((resolve) => identity?.onEnd(resolve));
    await plugin.stop();
    await ended;
    expect(host.identities.size).toBe(0);
  });

  it("takes control calls from its own host only", async () => {
    const plugin = await launchPlugin({
      strategy: nodeStrategy({ entry: linked, transport: "tcp" }),
      plugins: { echo },
    });
    const calls = openCallTransport({ endpoint: parseEndpoint(plugin.endpoint), httpVersion: "1.1" });
    const control = createClient(PluginControl, calls.transport);
    const identities = createClient(PluginIdentity, calls.transport);
    const denied = { code: Code.PermissionDenied };
    await expect(control.shutdown({})).rejects.toMatchObject(denied);
    await expect(control.shutdown({ controlToken: "x".repeat(43) })).rejects.toMatchObject(denied);
    const given = { runtimeId: "a-b", runtimeToken: "t", hostUrl: "http://localhost:1" };
    await expect(identities.setRuntimeIdentity(given)).rejects.toMatchObject(denied);
    expect((await control.getHealth({})).state).toBe(1);
    expect(await identities.getPluginInfo({})).toMatchObject({ selfId: "linked", metadata: { name: "linked" } });
    await control.shutdown({ gracePeriodSeconds: 5, controlToken: plugin.controlToken });
    await calls.close();
    expect(await plugin.exited).toMatchObject({ code: 0, signal: null });
    await plugin.stop();
  });
});

describe("a plugin that registers itself", () => {
  it("is ready by its first handshake, links, and comes back after its host restarted", async () => {
    const first = await serveEcho();
    const { port } = new URL(first.endpoint);
    const plugin = await launchPlugin({
      strategy: nodeStrategy({ entry: linked }),
      plugins: { echo },
      hostUrl: first.endpoint,
    });
    const call = await plugin.dispense("echo");
    const before = (await call.unary({ text: "who are you?" })).text;
    expect(first.identities.get(before)?.selfId).toBe("linked");
    await first.close({ graceMs: 0 });

    await using second = await serveEcho({ listen: { port: Number(port) } });
    const after = (await call.unary({ text: `who are you, beside ${before}?` })).text;
    expect(second.identities.get(after)?.selfId).toBe("linked");
    await plugin.stop();
    expect(second.identities.size).toBe(0);
  });

  it("keeps an identity that a renewal extends", async () => {
    await using host = await serveEcho({ identityTtlMs: 1_000 });
    const plugin = await launchPlugin({
      strategy: nodeStrategy({ entry: linked }),
      plugins: { echo },
      hostUrl: host.endpoint,
    });
    const call = await plugin.dispense("echo");
    const id = (await call.unary({ text: "who are you?" })).text;
    const issuedUntilMs = host.identities.get(id)?.expiresAtMs ?? 0;
    const renewed = (await call.unary({ text: "renewed" })).text;
    expect(renewed).toBe(id);
    expect(host.identities.get(id)?.expiresAtMs).toBeGreaterThan(issuedUntilMs);
    await plugin.stop();
  });
});

describe("a call whose plugin ends under it", () => {
  it.each(["unary", "stream"])("tells the plugin, how it ended and its last words (%s)", async (kind) => {
    const plugin = await launchPlugin({ strategy: nodeStrategy({ entry: linked }), plugins: { echo } });
    const call = await plugin.dispense("echo");
    const failed = async () => {
      if (kind === "unary") return call.unary({ text: "die" });
      for await (const _ of call.serverStream({ text: "die" }));
      return undefined;
    };
    const error = ConnectError.from(await failed().catch((reason: unknown) => reason));
    expect(error.code).toBe(Code.Unavailable);
    expect(error.cause).toBeInstanceOf(LaunchError);
    expect(error.cause).toMatchObject({ plugin: "echo", stage: "running", exit: { code: 7 } });
    expect(error.message).toContain("famous last words");
    await plugin.stop();
  });
});

describe("bad options of launchPlugin", () => {
  it("of the client leave no process behind", async () => {
    const pids: (number | undefined)[] = [];
    const inner = nodeStrategy({ entry: linked });
    const strategy = {
      ...inner,
      launch: async (request: Parameters<typeof inner.launch>[0]) => {
        const running = await inner.launch(request);
        pids.push(running.pid);
        return running;
      },
    };
    await expect(launchPlugin({ strategy, plugins: { echo }, handshakeTimeoutMs: -1 })).rejects.toThrow(RangeError);
    expect(() => process.kill(pids[0] ?? 0, 0)).toThrow(expect.objectContaining({ code: "ESRCH" }));
  });
});

describe("RuntimeService", () => {
  it("answers nobody without an identity", async () => {
    await using host = await serveEcho();
    const calls = openCallTransport({ endpoint: parseEndpoint(host.endpoint), httpVersion: "2" });
    await expect(createClient(RuntimeService, calls.transport).renewIdentity({})).rejects.toMatchObject({
      code: Code.Unauthenticated,
    });
    await calls.close();
  });
});
