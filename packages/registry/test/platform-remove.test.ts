import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import type { ServiceView } from "../src/index.ts";
import { createCaller, createWaitingRelay, errorOf, relayInMemory, startPlatform } from "./support/platform-plugins.ts";

describe("impact and remove", { timeout: 60_000 }, () => {
  it("refuses to break others by name, and does it when forced", async () => {
    await using scene = await startPlatform({
      plugins: [
        relayInMemory("store"),
        relayInMemory("api", { requires: ["store"] }),
        relayInMemory("stats", { requires: ["store?"] }),
      ],
    });
    const { platform } = scene;
    const impact = {
      plugin: "store",
      servicesLost: ["store"],
      breaks: [{ plugin: "api", selfId: "api", types: ["store"], direct: true }],
      degrades: [{ plugin: "stats", selfId: "stats", types: ["store"], direct: true }],
      reroutes: [],
    };
    expect(platform.impact("store")).toEqual(impact);
    const refused = await errorOf(platform.remove("store"));
    expect(refused.code).toBe(Code.FailedPrecondition);
    expect(refused.rawMessage).toContain("api (needs store)");
    expect(scene.states()).toEqual(["store running", "api running", "stats running"]);
    const runtimeId = platform.plugins()[0]?.runtimeId ?? "";
    await platform.remove("store", { force: true });
    expect(scene.states()).toEqual(["api running", "stats running"]);
    expect(platform.host.identities.get(runtimeId)).toBeUndefined();
    expect(
      platform.registry
        .services()
        .map(({ type }) => type)
        .sort(),
    ).toEqual(["api", "stats"]);
    await platform.remove("api");
    expect(() => platform.impact("api")).toThrow("api");
    expect(await errorOf(platform.remove("api"))).toMatchObject({ code: Code.NotFound });
  });

  it("tells watchers, gives no new calls, and lets those finish that are under way", async () => {
    const waiting = createWaitingRelay();
    await using scene = await startPlatform({ plugins: [relayInMemory("slow", { impl: waiting.impl })] });
    const { platform } = scene;
    const views: ServiceView[] = [];
    platform.registry.follow("slow", (view) => views.push(view));
    const caller = createCaller(platform, ["slow"]);
    const answer = caller.call("slow", "kept");
    await waiting.began;
    const removed = platform.remove("slow", { reason: "no more" });
    expect(views.at(-1)).toMatchObject({ state: "unavailable", providers: [{ draining: true }] });
    expect(await caller.call("slow")).toBe("unavailable");
    expect(await errorOf(platform.remove("slow"))).toMatchObject({ code: Code.Aborted });
    expect(scene.states()).toEqual(["slow draining"]);
    waiting.release();
    expect(await answer).toBe("kept");
    await removed;
    expect(views.at(-1)).toMatchObject({ state: "unavailable", providers: [] });
    expect(scene.events.map((event) => (event.type === "state" ? event.state : event.type)).slice(-4)).toEqual([
      "draining",
      "stopping",
      "stopped",
      "removed",
    ]);
    expect(platform.host.identities.get(caller.runtimeId)).toBeDefined();
    expect(platform.host.identities.size).toBe(1);
  });

  it("cuts calls that outlast the grace, with unavailable", async () => {
    const waiting = createWaitingRelay();
    await using scene = await startPlatform({ plugins: [relayInMemory("slow", { impl: waiting.impl })] });
    const { platform } = scene;
    const answer = createCaller(platform, ["slow"]).call("slow");
    await waiting.began;
    await platform.remove("slow", { graceMs: 10 });
    expect(await answer).toBe("unavailable");
    expect(scene.events).toContainEqual(expect.objectContaining({ type: "calls-cut", calls: 1 }));
  });

  it("takes out what came by itself, by its runtime id, and counts it in", async () => {
    await using scene = await startPlatform({
      plugins: [relayInMemory("api")],
    });
    const { platform } = scene;
    const other = createCaller(platform, ["api"], true);
    expect(platform.impact("api").breaks).toEqual([
      { plugin: other.runtimeId, selfId: "caller", types: ["api"], direct: true },
    ]);
    platform.host.identities.revoke(other.runtimeId);
    expect(platform.impact("api").breaks).toEqual([]);
    expect(() => platform.impact(other.runtimeId)).toThrow(ConnectError);
  });
});
