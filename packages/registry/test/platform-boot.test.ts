import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { createPlatform, PlatformError, type PlatformPlugin } from "../src/index.ts";
import { createCaller, errorOf, relayInMemory, relayProcess, startPlatform } from "./support/platform-plugins.ts";

describe("the boot of a platform", { timeout: 60_000 }, () => {
  it("starts each plugin after those that it needs, and others meanwhile", async () => {
    const log: string[] = [];
    const releaseB = Promise.withResolvers<void>();
    const note = (id: string, wait?: Promise<void>) => async () => {
      log.push(`${id} starts`);
      await wait;
    };
    await using scene = await startPlatform({
      plugins: [
        relayInMemory("d", { requires: ["b", "c?"], onStart: note("d") }),
        relayInMemory("b", { requires: ["a"], onStart: note("b", releaseB.promise) }),
        relayInMemory("c", {
          requires: ["a"],
          onStart: () => {
            log.push("c starts");
            releaseB.resolve(); // b and c start at a time, or this never ends
          },
        }),
        relayInMemory("a", { onStart: note("a") }),
      ],
    });
    const { platform } = scene;
    expect(log[0]).toBe("a starts");
    expect(log.slice(1, 3).sort()).toEqual(["b starts", "c starts"]);
    expect(log[3]).toBe("d starts");
    expect(platform.bootReport.map(({ id, state, stage, error }) => [id, state, stage, error])).toEqual(
      ["d", "b", "c", "a"].map((id) => [id, "running", "route", undefined]),
    );
    expect(await createCaller(platform, ["d"]).call("d")).toBe("1.0.0 hello");
    expect(platform.host.health.status("")).toBe("serving");
  });

  it("starts no more at a time than it may", async () => {
    let starting = 0;
    let most = 0;
    const onStart = async () => {
      most = Math.max(most, ++starting);
      await new Promise((resolve) => setImmediate(resolve));
      starting--;
    };
    const plugins = ["a", "b", "c", "d", "e"].map((id) => relayInMemory(id, { onStart }));
    await using _scene = await startPlatform({ startConcurrency: 2, plugins });
    expect(most).toBe(2);
  });

  it("leaves the others up when one fails, and fails those that need it, each by name", async () => {
    const dead = { ...relayProcess("dead", "fail"), optional: true };
    await using scene = await startPlatform({
      plugins: [
        dead,
        relayInMemory("needy", { requires: ["dead"] }),
        relayInMemory("modest", { requires: ["dead?"] }),
        relayInMemory("alone"),
        relayInMemory("lost", { requires: ["nowhere@2.0.0"] }),
      ],
    });
    const { platform } = scene;
    const [ofDead, ofNeedy, ofModest, ofAlone, ofLost] = platform.bootReport;
    expect(ofDead).toMatchObject({ id: "dead", optional: true, state: "failed", stage: "launch" });
    expect(ofDead?.stderrTail).toContain("cannot find its heart");
    expect(ofDead?.error?.cause).toBeInstanceOf(PlatformError);
    expect(ofDead?.error?.cause).toMatchObject({ plugin: "dead", stage: "launch" });
    expect(ofNeedy).toMatchObject({ state: "failed", stage: "dependencies", error: { code: Code.FailedPrecondition } });
    expect(ofNeedy?.error?.rawMessage).toContain("plugin dead should, and is failed");
    expect(ofLost).toMatchObject({ state: "failed", stage: "dependencies" });
    expect(ofLost?.error?.rawMessage).toContain("nowhere 2.0.0");
    expect([ofModest?.state, ofAlone?.state]).toEqual(["running", "running"]);
    expect(scene.states()).toEqual(["dead failed", "needy failed", "modest running", "alone running", "lost failed"]);
    // One that is not optional is away for good: the host is not ready.
    expect(platform.host.health.status("")).toBe("not-serving");
    await platform.remove("needy");
    await platform.remove("lost");
    expect(platform.host.health.status("")).toBe("serving");
  });

  it("names a circle, and that one is unhealthy for ever", async () => {
    const ill = { state: "unhealthy", reason: "ill", unavailableDependencies: [] } as const;
    const sick = { ...relayInMemory("sick", { onStart: ({ health }) => health.setHealth(ill) }), readyTimeoutMs: 300 };
    await using scene = await startPlatform({
      plugins: [relayInMemory("a", { requires: ["b"] }), relayInMemory("b", { requires: ["a"] }), sick],
    });
    const [a, , ofSick] = scene.platform.bootReport;
    expect(a).toMatchObject({ state: "failed", stage: "dependencies" });
    expect(a?.error?.rawMessage).toContain("->");
    expect(ofSick).toMatchObject({ state: "failed", stage: "health", error: { code: Code.DeadlineExceeded } });
    expect(scene.platform.registry.providers()).toEqual([]);
    expect(scene.platform.host.identities.size).toBe(0);
  });

  it("looks at what a plugin itself says that it needs, before it gets an identity", async () => {
    const { plugins } = relayInMemory("liar");
    await using scene = await startPlatform();
    const { strategy } = relayInMemory("liar", { requires: ["nowhere"] });
    const [boot] = await scene.platform.add({ id: "liar", strategy, plugins });
    expect(boot).toMatchObject({ state: "failed", stage: "dependencies", error: { code: Code.FailedPrecondition } });
    expect(scene.platform.host.identities.size).toBe(0);
  });

  it("starts a plugin again that failed, once what it lacked is there", async () => {
    await using scene = await startPlatform({ plugins: [relayInMemory("needy", { requires: ["late"] })] });
    const { platform } = scene;
    expect(await errorOf(platform.restart("needy"))).toMatchObject({
      code: Code.FailedPrecondition,
      cause: { plugin: "needy", stage: "dependencies" },
    });
    await platform.add(relayInMemory("late"));
    await platform.restart("needy");
    expect(scene.states()).toEqual(["needy running", "late running"]);
  });

  it("gives up what has not started when its signal aborts", async () => {
    const began = Promise.withResolvers<void>();
    const never = relayInMemory("never", {
      onStart() {
        began.resolve();
        return new Promise(() => {});
      },
    });
    await using scene = await startPlatform();
    const given = new AbortController();
    const added = scene.platform.add([relayInMemory("quick"), never, relayInMemory("after", { requires: ["never"] })], {
      signal: given.signal,
    });
    await began.promise;
    await scene.until((event) => event.plugin === "quick" && event.type === "state" && event.state === "running");
    expect(await errorOf(scene.platform.remove("never"))).toMatchObject({ code: Code.Aborted });
    given.abort(new ConnectError("enough", Code.Canceled));
    expect((await added).map(({ id, state }) => `${id} ${state}`)).toEqual([
      "quick running",
      "never failed",
      "after failed",
    ]);
  });

  it("refuses what is wrong before anything has changed, naming the field", async () => {
    await using scene = await startPlatform({ plugins: [relayInMemory("there")], maxPlugins: 2 });
    const { platform } = scene;
    const good = relayInMemory("good");
    const refused: [readonly unknown[], string][] = [
      [[good, { ...good }], "plugins[1].id"],
      [[good, relayInMemory("there")], "plugins[1].id"],
      [[{ ...good, id: "no good" }], "plugins[0].id"],
      [[{ id: "x" }], "plugins[0]"],
      [[{ id: "x", endpoint: "ftp://x" }], "plugins[0].endpoint"],
      [[{ ...good, strategy: undefined }], "plugins[0].strategy"],
      [[{ ...good, readyTimeoutMs: 0 }], "plugins[0].readyTimeoutMs"],
      [[good, relayInMemory("more")], "at most 2"],
    ];
    for (const [plugins, name] of refused) {
      expect((await errorOf(platform.add(plugins as PlatformPlugin[]))).message).toContain(name);
    }
    expect(scene.states()).toEqual(["there running"]);
    await expect(createPlatform({ startConcurrency: 0 })).rejects.toThrow("startConcurrency");
  });
});
