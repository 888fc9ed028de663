import { Code } from "@connectrpc/connect";
import type { PluginServer } from "@cpg/core";
import { describe, expect, it } from "vitest";
import type { PlatformEvent, ServiceView } from "../src/index.ts";
import {
  createCaller,
  createWaitingRelay,
  errorOf,
  relayInMemory,
  relayProcess,
  startPlatform,
} from "./support/platform-plugins.ts";

const quick = { backoff: { initialMs: 1, maxMs: 10 } };

describe("plugins that end", { timeout: 60_000 }, () => {
  it("killed by SIGKILL come back by themselves; watchers see it, and calls go to the new process", async () => {
    await using scene = await startPlatform({
      plugins: [{ ...relayProcess("relay"), restart: quick }, relayInMemory("user", { requires: ["relay"] })],
    });
    const { platform } = scene;
    const states: string[] = [];
    const back = Promise.withResolvers<void>();
    platform.registry.follow("relay", ({ state }: ServiceView) => {
      states.push(state);
      if (states.includes("unavailable") && state === "available") back.resolve();
    });
    const [before] = platform.plugins();
    process.kill(before?.pid ?? 0, "SIGKILL");
    await back.promise;
    expect(await createCaller(platform, ["relay"]).call("relay")).toBe("1.0.0 hello");
    const isRunning = (event: PlatformEvent) =>
      event.type === "state" && event.plugin === "relay" && event.state === "running";
    await scene.until(() => scene.events.filter(isRunning).length === 2);
    const [after] = platform.plugins();
    expect(after).toMatchObject({ launches: 2, ends: 1, lastExit: { signal: "SIGKILL" } });
    expect(after?.runtimeId).not.toBe(before?.runtimeId);
    expect(platform.host.identities.get(before?.runtimeId ?? "")).toBeUndefined();
    const path = scene.events.flatMap((event) =>
      event.type === "state" && event.plugin === "relay" && event.state !== "starting" ? [event.state] : [],
    );
    expect(path).toEqual(["running", "waiting", "running"]);
  });

  it("too often are crash-looping, visibly, until they are restarted", async () => {
    const servers: PluginServer[] = [];
    const looping = relayInMemory("looping", { onStart: (server) => void servers.push(server) });
    await using scene = await startPlatform({ plugins: [{ ...looping, restart: { ...quick, maxRestarts: 1 } }] });
    const { platform } = scene;
    await servers[0]?.close({ graceMs: 0 });
    await scene.until(() => scene.states()[0] === "looping running" && servers.length === 2);
    await servers[1]?.close({ graceMs: 0 });
    const end = await scene.until((event) => event.type === "state" && event.state === "crash-looping");
    expect(end).toMatchObject({ plugin: "looping", of: "present", error: { code: Code.Unavailable } });
    expect(platform.plugins()).toMatchObject([{ state: "crash-looping", launches: 2, ends: 2, runtimeId: undefined }]);
    expect(platform.host.health.status("")).toBe("not-serving");
    expect(await createCaller(platform, ["looping"]).call("looping")).toBe("unavailable");
    await platform.restart("looping");
    expect(await createCaller(platform, ["looping"]).call("looping")).toBe("1.0.0 hello");
    expect(platform.host.health.status("")).toBe("serving");
  });

  it("are expected back: calls fail with unavailable until they are removed", async () => {
    const servers: PluginServer[] = [];
    const plugin = relayInMemory("relay", { onStart: (server) => void servers.push(server) });
    const slow = { backoff: { initialMs: 60_000, maxMs: 60_000 } };
    await using scene = await startPlatform({ plugins: [{ ...plugin, restart: slow }] });
    const { platform } = scene;
    const caller = createCaller(platform, ["relay", "other"]);
    const provider = platform.plugins()[0]?.runtimeId;
    await servers[0]?.close({ graceMs: 0 });
    await scene.until((event) => event.type === "state" && event.state === "waiting");
    expect(await caller.call("relay")).toBe("unavailable");
    expect(await caller.call("relay", "hello", provider)).toBe("not_found"); // that process does not come back
    expect(await caller.call("other")).toBe("not_found");
    await platform.remove("relay");
    expect(await caller.call("relay")).toBe("not_found");
  });

  it("while they drain stay ended", async () => {
    const waiting = createWaitingRelay();
    const servers: PluginServer[] = [];
    const plugin = relayInMemory("relay", { impl: waiting.impl, onStart: (server) => void servers.push(server) });
    await using scene = await startPlatform({ plugins: [{ ...plugin, restart: quick }] });
    const answer = createCaller(scene.platform, ["relay"]).call("relay");
    await waiting.began;
    const removed = scene.platform.remove("relay");
    await servers[0]?.close({ graceMs: 0 });
    expect(await answer).toBe("unavailable");
    await removed;
    expect(servers.length).toBe(1);
    expect(scene.platform.plugins()).toEqual([]);
  });

  it("on demand finish their calls first, and are another process then", async () => {
    const waiting = createWaitingRelay();
    await using scene = await startPlatform({ plugins: [relayInMemory("relay", { impl: waiting.impl })] });
    const { platform } = scene;
    const before = platform.plugins()[0]?.runtimeId;
    const answer = createCaller(platform, ["relay"]).call("relay", "kept");
    await waiting.began;
    const restarted = platform.restart("relay");
    expect(scene.states()).toEqual(["relay restarting"]);
    expect(await errorOf(platform.replace("relay", relayInMemory("relay")))).toMatchObject({ code: Code.Aborted });
    waiting.release();
    expect(await answer).toBe("kept");
    await restarted;
    expect(platform.plugins()).toMatchObject([
      { state: "running", launches: 2, ends: 0, operation: undefined, lastError: undefined },
    ]);
    expect(platform.plugins()[0]?.runtimeId).not.toBe(before);
  });
});
