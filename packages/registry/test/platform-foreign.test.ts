import { fileURLToPath } from "node:url";
import { processStrategy } from "@cpg/core";
import { describe, expect, it } from "vitest";
import type { PlatformPlugin } from "../src/index.ts";
import { foreignServices, startForeign } from "./support/foreign-plugin.ts";
import { createCaller, errorOf, startPlatform } from "./support/platform-plugins.ts";

const program = fileURLToPath(new URL("./fixtures/foreign-plugin.mjs", import.meta.url));
const provides = [{ type: "alien", version: "1.0.0", path: "/" }];
const quick = { backoff: { initialMs: 1, maxMs: 10 } };

function foreign(registers: "itself" | "host", env: Record<string, string> = {}): PlatformPlugin {
  const strategy = processStrategy({ command: process.execPath, args: [program], env, ready: "any" });
  return {
    id: "alien",
    strategy,
    foreign: { selfId: "alien", registers, provides },
    restart: quick,
    readyTimeoutMs: 20_000,
  };
}

function isRunning({ states }: { readonly states: () => readonly string[] }): boolean {
  return states()[0] === "alien running";
}

describe("plugins of other implementations", { timeout: 60_000 }, () => {
  it("that know nothing but PORT are registered by the host, and stopped by it", async () => {
    await using scene = await startPlatform({ plugins: [foreign("host")] });
    const { platform } = scene;
    expect(platform.bootReport).toMatchObject([{ state: "running", error: undefined }]);
    const [{ pid, kind, selfId } = {}] = platform.plugins();
    expect({ kind, selfId }).toEqual({ kind: "foreign", selfId: "alien" });
    expect(await createCaller(platform, ["alien"]).call("alien")).toBe(`pid ${pid}`);
    await platform.remove("alien");
    expect(() => process.kill(pid ?? 0, 0)).toThrow("ESRCH");
    expect(platform.registry.providers()).toEqual([]);
  });

  it("that shake hands and register themselves keep the identity that they got; also the next one, unseen until the switch", async () => {
    const itself = foreign("itself", { FOREIGN_ID: "alien" });
    await using scene = await startPlatform({ plugins: [itself] });
    const { platform } = scene;
    const [first] = platform.plugins();
    expect(first).toMatchObject({ state: "running", selfId: "alien" });
    expect(platform.host.identities.get(first?.runtimeId ?? "")?.peer).toBeDefined();
    const caller = createCaller(platform, ["alien"]);
    expect(await caller.call("alien")).toBe(`pid ${first?.pid}`);
    expect(platform.registry.providers().length).toBe(1);

    const most: number[] = [];
    platform.registry.follow("alien", ({ providers }) =>
      most.push(providers.filter(({ draining }) => !draining).length),
    );
    const report = await platform.replace("alien", itself);
    expect(Math.max(...most)).toBe(1);
    const [second] = platform.plugins();
    expect([report.from, report.to]).toEqual([first?.runtimeId, second?.runtimeId]);
    expect(await caller.call("alien", "hello", first?.runtimeId)).toBe(`pid ${second?.pid}`);

    process.kill(second?.pid ?? 0, "SIGKILL");
    await scene.until((event) => event.type === "state" && event.state === "waiting");
    await scene.until(() => scene.states()[0] === "alien running");
    const [third] = platform.plugins();
    expect(third?.runtimeId).not.toBe(second?.runtimeId);
    expect(await caller.call("alien")).toBe(`pid ${third?.pid}`);
    expect(platform.host.identities.size).toBe(2); // its own and the caller's
  });

  it("that start again while the next one is launched are not taken for that, though both have the same name", async () => {
    await using scene = await startPlatform({ plugins: [foreign("itself", { FOREIGN_ID: "alien" })] });
    const { platform } = scene;
    const [{ pid = 0 } = {}] = platform.plugins();
    const replaced = errorOf(platform.replace("alien", { ...foreign("itself"), readyTimeoutMs: 1_500 })); // is silent
    process.kill(pid, "SIGKILL");
    expect((await replaced).cause).toMatchObject({ name: "PlatformError", stage: "launch" });
    await scene.until(({ type }) => type === "state" && platform.plugins()[0]?.launches === 2 && isRunning(scene));
    expect(await createCaller(platform, ["alien"]).call("alien")).toBe(`pid ${platform.plugins()[0]?.pid}`);
  });

  it("that do not shake hands in time are told of, and ended", async () => {
    const silent = { ...foreign("itself"), readyTimeoutMs: 1_500 };
    await using scene = await startPlatform({ plugins: [silent] });
    expect(scene.platform.bootReport).toMatchObject([{ state: "failed", stage: "handshake" }]);
    expect(scene.platform.bootReport[0]?.error?.rawMessage).toContain("did not shake hands as alien");
  });

  it("that run elsewhere are attached, left alone when they are removed, and asked to end if that is wanted", async () => {
    const asked: unknown[] = [];
    const services = foreignServices({
      info: { selfId: "far", provides: [{ type: "far", version: "2.0.0", path: "/" }] },
      onShutdown: (request) => asked.push(request),
    });
    await using far = await startForeign(services);
    await using scene = await startPlatform({ plugins: [{ id: "far", endpoint: far.url }] });
    const { platform } = scene;
    expect(platform.plugins()).toMatchObject([
      { state: "running", kind: "endpoint", selfId: "far", endpoint: far.url },
    ]);
    expect(platform.registry.services().map(({ type, state }) => `${type} ${state}`)).toEqual(["far available"]);
    await platform.remove("far");
    expect(asked).toEqual([]);
    expect(platform.host.identities.size).toBe(0);
    await platform.add({ id: "far", endpoint: far.url, shutdown: true });
    await platform.remove("far", { graceMs: 1_000, reason: "no more" });
    expect(asked).toMatchObject([{ reason: "no more" }]);
  });

  it("that come to the endpoint again are attached again", async () => {
    const services = foreignServices({
      info: { selfId: "far", provides: [{ type: "far", version: "2.0.0", path: "/" }] },
    });
    await using far = await startForeign(services);
    await using scene = await startPlatform({
      plugins: [{ id: "far", endpoint: far.url, restart: quick, probe: false }],
    });
    const before = scene.platform.plugins()[0]?.runtimeId ?? "";
    scene.platform.host.identities.revoke(before);
    await scene.until((event) => event.type === "state" && event.state === "waiting");
    await scene.until(() => scene.states()[0] === "far running");
    expect(scene.platform.plugins()[0]?.runtimeId).not.toBe(before);
  });
});
