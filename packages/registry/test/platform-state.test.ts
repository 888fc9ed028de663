import { serve } from "@cpg/core";
import { describe, expect, it } from "vitest";
import type { PlatformState } from "../src/index.ts";
import { relayInMemory, startPlatform } from "./support/platform-plugins.ts";

const untilState = async (
  states: AsyncIterable<PlatformState>,
  matches: (state: PlatformState) => boolean,
): Promise<PlatformState> => {
  for await (const state of states) if (matches(state)) return state;
  throw new Error("the watch ended");
};

describe("the state of a platform", () => {
  it("has its plugins, those that came by themselves, services and graph, and can be written as JSON", async () => {
    await using scene = await startPlatform({
      plugins: [relayInMemory("store"), relayInMemory("api", { requires: ["store"] })],
    });
    const { platform } = scene;
    const guest = await serve({
      plugins: {},
      impls: {},
      selfId: "guest",
      declares: { requires: [{ type: "api" }] },
      link: { hostUrl: platform.host.endpoint },
      listen: { port: 0 },
      environment: {},
      handleSignals: false,
    });
    await guest.link?.whenLinked();

    const state = platform.state();
    expect(state.plugins).toMatchObject([
      { id: "store", state: "running", inFlight: 0, draining: false, health: { level: "healthy" }, launches: 1 },
      { id: "api", state: "running", provides: [{ type: "api" }], requires: [{ type: "store" }] },
    ]);
    expect(state.guests).toMatchObject([{ selfId: "guest", requires: [{ type: "api" }], health: undefined }]);
    expect(state.services.map(({ type, state: how }) => `${type} ${how}`)).toEqual([
      "api available",
      "store available",
    ]);
    expect(state.graph.layers).toEqual([["store"], ["api"], [state.guests[0]?.runtimeId]]);
    expect(state.graph.edges).toContainEqual({
      consumer: "api",
      type: "store",
      minVersion: "",
      required: true,
      providers: ["store"],
    });
    expect(state.graph.problems).toEqual([]);
    const text = JSON.stringify(state);
    expect(JSON.parse(text).plugins[0].id).toBe("store");
    expect(text).not.toMatch(/token/i);
    await guest.close();
  });

  it("tells why a plugin does not run, as plain data", async () => {
    const onStart = () => Promise.reject(new Error("no disk"));
    await using scene = await startPlatform({ plugins: [relayInMemory("store", { onStart })] });
    const [store] = scene.platform.state().plugins;
    expect(store).toMatchObject({ state: "failed", stage: "launch", lastError: { code: "unavailable" } });
    expect(store?.lastError?.message).toContain("no disk");
    expect(structuredClone(store)).toEqual(store);
  });

  it("is watched: what fails, comes and goes is told, and the close of the platform ends it", async () => {
    await using scene = await startPlatform({ plugins: [relayInMemory("store")] });
    const { platform } = scene;
    const seen = platform.watch()[Symbol.asyncIterator]();
    expect((await seen.next()).value).toMatchObject({ plugins: [{ id: "store", state: "running" }] });

    const added = untilState(platform.watch(), ({ plugins }) =>
      plugins.some(({ id, state }) => id === "api" && state === "running"),
    );
    await platform.add(relayInMemory("api", { requires: ["store"] }));
    expect((await added).services.map(({ type }) => type)).toContain("api");

    const removed = untilState(platform.watch(), ({ plugins }) => !plugins.some(({ id }) => id === "store"));
    await platform.remove("store", { force: true });
    expect((await removed).graph.problems).toMatchObject([{ consumer: "api", type: "store" }]);

    const ended = untilState(platform.watch(), () => false);
    const expectation = expect(ended).rejects.toMatchObject({ code: 14 });
    await platform.close();
    await expectation;
    await expect(seen.next()).rejects.toMatchObject({ code: 14 });
  });
});
