import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import {
  createCaller,
  createWaitingRelay,
  errorOf,
  relayInMemory,
  relayProcess,
  startPlatform,
} from "./support/platform-plugins.ts";

function isAlive(pid: number | undefined): boolean {
  try {
    return process.kill(pid ?? 0, 0);
  } catch {
    return false;
  }
}

describe("the end of a platform", { timeout: 60_000 }, () => {
  it("stops each plugin before those that it needs, and leaves nothing", async () => {
    const waiting = createWaitingRelay();
    await using scene = await startPlatform({
      plugins: [
        relayInMemory("c", { requires: ["b"], impl: waiting.impl }),
        relayProcess("a"),
        relayInMemory("b", { requires: ["a"] }),
        relayInMemory("d", { requires: ["b"] }),
      ],
    });
    const { platform } = scene;
    const pid = platform.plugins()[1]?.pid;
    expect(isAlive(pid)).toBe(true);
    const answer = createCaller(platform, ["c"]).call("c", "kept");
    await waiting.began;
    const closed = platform.close();
    await scene.until((event) => event.plugin === "d" && event.type === "state" && event.state === "stopped");
    expect(scene.states()).toEqual(["c draining", "a running", "b running", "d stopped"]);
    waiting.release();
    expect(await answer).toBe("kept");
    await closed;
    await platform.closed;
    const stopped = scene.events.flatMap((event) =>
      event.type === "state" && event.state === "stopped" ? [event.plugin] : [],
    );
    expect(stopped.filter((id) => id !== "d")).toEqual(["c", "b", "a"]);
    expect(isAlive(pid)).toBe(false);
    expect(platform.host.identities.size).toBe(0);
    expect(await errorOf(platform.add(relayInMemory("late")))).toMatchObject({ code: Code.Unavailable });
    expect(await errorOf(platform.restart("a"))).toMatchObject({ code: Code.Unavailable });
    await platform.close();
  });

  it("lets calls finish, cuts what outlasts the grace, and gives up what is under way", async () => {
    const kept = createWaitingRelay();
    const stuck = createWaitingRelay();
    const began = Promise.withResolvers<void>();
    const never = relayInMemory("never", {
      onStart() {
        began.resolve();
        return new Promise(() => {});
      },
    });
    await using scene = await startPlatform({
      plugins: [relayInMemory("kept", { impl: kept.impl }), relayInMemory("stuck", { impl: stuck.impl })],
    });
    const { platform } = scene;
    const caller = createCaller(platform, ["kept", "stuck"]);
    const finished = caller.call("kept", "finished");
    const cut = caller.call("stuck");
    await Promise.all([kept.began, stuck.began]);
    const added = platform.add(never);
    const replaced = errorOf(platform.replace("kept", { ...never, id: "kept" }));
    await began.promise;
    const closed = platform.close({ graceMs: 500 });
    kept.release();
    expect(await finished).toBe("finished");
    expect(await cut).toBe("unavailable");
    expect(await added).toMatchObject([
      { id: "never", state: "stopped", stage: "launch", error: { code: Code.Unavailable } },
    ]);
    expect(await replaced).toMatchObject({ code: Code.Unavailable, cause: { stage: "launch" } });
    await closed;
    expect(platform.plugins().map(({ state }) => state)).toEqual(["stopped", "stopped", "stopped"]);
  });

  it("takes no longer than the grace of the host, unless it is told otherwise", async () => {
    const stuck = createWaitingRelay();
    await using scene = await startPlatform({
      host: { graceMs: 100 },
      plugins: [relayInMemory("stuck", { impl: stuck.impl })],
    });
    const cut = createCaller(scene.platform, ["stuck"]).call("stuck");
    await stuck.began;
    await scene.platform.close();
    expect(await cut).toBe("unavailable");
  }, 25_000); // less than the default

  it("comes with its host, whoever closes that", async () => {
    await using scene = await startPlatform({ plugins: [relayInMemory("relay")] });
    await scene.platform.host.close({ graceMs: 0 });
    expect(scene.states()).toEqual(["relay stopped"]);
  });
});
