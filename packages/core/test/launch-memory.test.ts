import { Code, ConnectError, createClient, type HandlerContext } from "@connectrpc/connect";
import {
  callerIdKey,
  createPluginClient,
  LaunchError,
  launchPlugin,
  type MemoryStrategyOptions,
  memoryStrategy,
  type PluginServer,
  supervisePlugin,
} from "@cpg/core";
import { PluginControl } from "@cpg/core/gen/connectplugin/v1/plugin_pb";
import { describe, expect, it } from "vitest";
import { HEADER } from "../src/protocol/constants.ts";
import { echo, serveEcho } from "./support/started-server.ts";

const plugins = { echo };
type Options = MemoryStrategyOptions<typeof plugins>;
type Unary = (request: { text: string }, context: HandlerContext) => unknown;

/** An echo plugin in memory, whose unary method is `unary`. */
function memoryEcho(unary: Unary = ({ text }) => ({ text }), options: Partial<Options> = {}) {
  const unused = () => {
    throw new ConnectError("not part of the test", Code.Internal);
  };
  const impls = { echo: { unary, serverStream: unused, clientStream: unused, bidiStream: unused } };
  return memoryStrategy({ plugins, impls, ...options } as Options);
}

/** Waits until its caller's signal aborts, and tells when it has begun and why it ended. */
function waitingHandler() {
  const began = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<unknown>();
  const unary: Unary = (_, { signal }) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => {
        ended.resolve(signal.reason);
        reject(signal.reason);
      });
      began.resolve();
    });
  return { unary, began: began.promise, ended: ended.promise };
}

describe("memoryStrategy", () => {
  it("launches a plugin that shakes hands and is called, without any address", async () => {
    await using plugin = await launchPlugin({ strategy: memoryEcho(), plugins });
    expect(plugin).toMatchObject({ name: "echo", endpoint: "memory:echo", pid: undefined });
    expect(await plugin.connect()).toMatchObject({ httpVersion: undefined, http2: false });
    expect(await (await plugin.dispense("echo")).unary({ text: "here" })).toMatchObject({ text: "here" });
  });

  it("copies messages unless told to hand them over by reference", async () => {
    const seen: unknown[] = [];
    const keep: Unary = (request) => {
      seen.push(request);
      return request;
    };
    for (const byReference of [false, true]) {
      await using plugin = await launchPlugin({ strategy: memoryEcho(keep, { byReference }), plugins });
      const answer = await (await plugin.dispense("echo")).unary({ text: "mine" });
      expect(answer === seen.at(-1)).toBe(byReference);
    }
  });

  it("ends by its own, asked or terminated, and says which", async () => {
    let server: PluginServer | undefined;
    const onStart = (started: PluginServer) => {
      server = started;
    };
    const byItself = await launchPlugin({ strategy: memoryEcho(undefined, { onStart }), plugins });
    await server?.close();
    expect(await byItself.exited).toEqual({ code: 0, signal: null, how: "exited" });
    const asked = await launchPlugin({ strategy: memoryEcho(), plugins });
    expect(await asked.stop()).toEqual({ code: 0, signal: null, how: "asked" });
    const terminated = await launchPlugin({ strategy: memoryEcho(), plugins });
    expect(await terminated.kill()).toEqual({ code: 0, signal: null, how: "terminated" });
    expect(await terminated.stop()).toEqual({ code: 0, signal: null, how: "terminated" });
  });

  it("lets a call finish within the grace", async () => {
    const answer = Promise.withResolvers<{ text: string }>();
    const began = Promise.withResolvers<void>();
    const unary: Unary = () => {
      began.resolve();
      return answer.promise;
    };
    const plugin = await launchPlugin({ strategy: memoryEcho(unary), plugins });
    const call = (await plugin.dispense("echo")).unary({});
    await began.promise;
    const stopped = plugin.stop({ graceMs: 60_000 });
    answer.resolve({ text: "done" });
    expect(await call).toMatchObject({ text: "done" });
    expect((await stopped).how).toBe("asked");
  });

  it("cuts what runs still when the grace is over, or kill shortens it", async () => {
    const { unary, began, ended } = waitingHandler();
    const plugin = await launchPlugin({ strategy: memoryEcho(unary), plugins });
    const call = (await plugin.dispense("echo")).unary({});
    const failed = expect(call).rejects.toMatchObject({ code: Code.Unavailable });
    await began;
    const stopped = plugin.stop({ graceMs: 60_000 });
    await plugin.kill();
    await failed;
    expect(await ended).toMatchObject({ code: Code.Unavailable });
    expect((await stopped).how).toBe("terminated");
  });

  it("tells of its end in the errors of calls that it cuts", async () => {
    const { unary, began } = waitingHandler();
    const plugin = await launchPlugin({ strategy: memoryEcho(unary), plugins });
    const call = (await plugin.dispense("echo")).unary({});
    const failed = expect(call).rejects.toMatchObject({
      code: Code.Unavailable,
      message: expect.stringContaining(
        "plugin echo failed (stage: running): the plugin has been stopped; it was terminated",
      ),
      cause: expect.any(LaunchError),
    });
    await began;
    await plugin.kill();
    await failed;
  });

  it("is reached by a client of its own, until it ends", async () => {
    const plugin = await launchPlugin({ strategy: memoryEcho(), plugins });
    const client = createPluginClient({ endpoint: memoryEndpointOf(plugin), plugins });
    const store = await client.dispense("echo");
    expect(await store.unary({ text: "hello" })).toMatchObject({ text: "hello" });
    await plugin.stop();
    await expect(store.unary({})).rejects.toMatchObject({ code: Code.Unavailable });
  });

  it("gets an identity of its host, which ends with it", async () => {
    await using host = await serveEcho();
    const plugin = await launchPlugin({ strategy: memoryEcho(), plugins, host });
    expect(plugin.identity?.selfId).toBe("echo");
    expect(host.identities.size).toBe(1);
    await plugin.stop();
    expect(host.identities.size).toBe(0);
  });

  it("takes control calls and a caller's id from its own host only", async () => {
    const callers: (string | null | undefined)[] = [];
    const unary: Unary = (_, context) => {
      const { requestHeader, values } = context;
      callers.push(requestHeader.get(HEADER.callerId), requestHeader.get(HEADER.controlToken), values.get(callerIdKey));
      return {};
    };
    await using plugin = await launchPlugin({ strategy: memoryEcho(unary), plugins });
    const calls = plugin.openTransport();
    const denied = { code: Code.PermissionDenied };
    await expect(createClient(PluginControl, calls.transport).shutdown({})).rejects.toMatchObject(denied);
    await calls.close();
    const client = await plugin.dispense("echo");
    await client.unary({}, { headers: { [HEADER.callerId]: "someone-1a2b" } });
    const headers = { [HEADER.callerId]: "someone-1a2b", [HEADER.controlToken]: plugin.controlToken };
    await client.unary({}, { headers });
    expect(callers).toEqual([null, null, undefined, "someone-1a2b", null, "someone-1a2b"]);
  });

  it("fails the launch with what onStart throws, and leaves nothing", async () => {
    let server: PluginServer | undefined;
    const onStart = (started: PluginServer) => {
      server = started;
      throw new Error("no disk");
    };
    const launch = launchPlugin({ strategy: memoryEcho(undefined, { onStart }), plugins });
    await expect(launch).rejects.toMatchObject({
      message: expect.stringContaining("plugin echo failed (stage: ready): no disk"),
      cause: expect.any(LaunchError),
    });
    await server?.closed;
  });

  it("gives a launch up that takes too long, or that nobody wants any more", async () => {
    const onStart = () => new Promise<void>(() => {});
    const strategy = memoryEcho(undefined, { onStart });
    await expect(launchPlugin({ strategy, plugins, readyTimeoutMs: 20 })).rejects.toMatchObject({
      code: Code.DeadlineExceeded,
      message: expect.stringContaining("onStart did not finish within 20 ms"),
    });
    const signal = AbortSignal.abort(new Error("not needed"));
    await expect(launchPlugin({ strategy, plugins, signal })).rejects.toThrow("not needed");
  });

  it.each<[string, Partial<Options>, string]>([
    ["plugins", { plugins: {} as typeof plugins }, "plugins"],
    ["impls", { impls: {} as Options["impls"] }, "impls"],
  ])("refuses bad %s when it is made", (_, options, message) => {
    expect(() => memoryEcho(undefined, options)).toThrow(message);
  });

  it("refuses bad limits when it launches, naming them", async () => {
    const strategy = memoryEcho(undefined, { maxMessageBytes: 0 });
    await expect(launchPlugin({ strategy, plugins })).rejects.toThrow(/maxMessageBytes must be/);
  });

  it("launches again and again under supervision", async () => {
    let server: PluginServer | undefined;
    const onStart = (started: PluginServer) => {
      server = started;
    };
    const plugin = supervisePlugin({
      strategy: memoryEcho(undefined, { onStart }),
      plugins,
      restart: { backoff: { initialMs: 1, maxMs: 1 } },
    });
    await plugin.whenRunning();
    const client = await plugin.dispense("echo");
    const restarted = new Promise<void>((resolve) => {
      plugin.onStateChange(({ state }) => state === "running" && resolve());
    });
    await server?.close();
    await restarted;
    expect(await client.unary({ text: "again" })).toMatchObject({ text: "again" });
    expect(plugin.snapshot()).toMatchObject({ launches: 2, endpoint: "memory:echo" });
    await plugin.stop();
  });
});

function memoryEndpointOf(plugin: Pick<Awaited<ReturnType<typeof launchPlugin>>, "endpoint" | "openTransport">) {
  return { name: plugin.endpoint, open: () => plugin.openTransport() };
}
