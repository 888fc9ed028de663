import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { get, launchFixture } from "./fixtures/launch-fixture.ts";
import { createWitness } from "./fixtures/witness.ts";

const never = () => new Promise<void>(() => {});

describe("stop", { timeout: 60_000 }, () => {
  it("asks first, and waits for the plugin to end by itself", async () => {
    await using plugin = await launchFixture("polite-plugin.mjs");
    const report = await plugin.stop({ graceMs: 30_000, askToStop: async () => void (await get(plugin.endpoint)) });
    expect(report).toEqual({ code: 0, signal: null, how: "asked" });
    expect(await plugin.exited).toEqual(report);
  });

  it("sends SIGTERM at once when nobody could be asked", async () => {
    const clock = new FakeClock(); // stands still: no grace is waited for
    await using plugin = await launchFixture("ready-plugin.mjs", {}, { clock });
    const askToStop = async () => {
      throw new Error("unimplemented");
    };
    expect(await plugin.stop({ graceMs: 30_000, askToStop })).toEqual({
      code: null,
      signal: "SIGTERM",
      how: "sigterm",
    });
    expect(clock.pending).toBe(0);
  });

  it("takes the question back when the grace is over, and sends SIGTERM", async () => {
    const clock = new FakeClock();
    await using plugin = await launchFixture("stubborn-plugin.mjs", {}, { clock });
    let takenBack: AbortSignal | undefined;
    const stopped = plugin.stop({
      graceMs: 1_000,
      askToStop(signal) {
        takenBack = signal;
        return never();
      },
    });
    await clock.waitForSleep();
    expect(takenBack?.aborted).toBe(false);
    const termination = clock.nextSleep();
    await clock.advance(1_000);
    await termination;
    expect(takenBack?.aborted).toBe(true);
    await clock.advance(5_000);
    expect((await stopped).how).toBe("sigkill");
  });

  it("sends SIGKILL to a plugin that ignores everything, after both graces", async () => {
    const clock = new FakeClock();
    await using plugin = await launchFixture("stubborn-plugin.mjs", {}, { clock });
    const stopped = plugin.stop({ graceMs: 1_000, termGraceMs: 2_000, askToStop: never });
    await clock.waitForSleep();
    const termination = clock.nextSleep();
    await clock.advance(1_000);
    await termination;
    expect(clock.nextDueMs).toBe(2_000);
    await clock.advance(1_999);
    expect(clock.nextDueMs).toBe(1);
    await clock.advance(1);
    expect(await stopped).toEqual({ code: null, signal: "SIGKILL", how: "sigkill" });
    expect(clock.pending).toBe(0);
  });

  it("gives 5 s after SIGTERM unless told otherwise, and asks nobody without a grace", async () => {
    const clock = new FakeClock();
    await using plugin = await launchFixture("stubborn-plugin.mjs", {}, { clock });
    const stopped = plugin.stop({ graceMs: 0, askToStop: () => Promise.reject(new Error("was asked")) });
    await clock.waitForSleep();
    expect(clock.nextDueMs).toBe(5_000);
    await clock.advance(5_000);
    expect((await stopped).how).toBe("sigkill");
  });

  it("is shared by concurrent callers, and cut short by kill", async () => {
    const clock = new FakeClock();
    await using plugin = await launchFixture("stubborn-plugin.mjs", {}, { clock });
    let asked = 0;
    const askToStop = () => {
      asked++;
      return never();
    };
    const first = plugin.stop({ graceMs: 1_000, askToStop });
    const second = plugin.stop({ graceMs: 1_000, askToStop });
    await clock.waitForSleep();
    const killed = plugin.kill();
    const reports = await Promise.all([first, second, killed, plugin.exited]);
    expect(reports).toEqual(Array.from({ length: 4 }, () => ({ code: null, signal: "SIGKILL", how: "sigkill" })));
    expect(asked).toBe(1);
    expect(clock.pending).toBe(0);
  });

  it("reports how a plugin ended before, without sending anything", async () => {
    await using plugin = await launchFixture("polite-plugin.mjs");
    await get(plugin.endpoint);
    const report = await plugin.exited;
    expect(report.how).toBe("exited");
    expect(await plugin.stop({ graceMs: 30_000, askToStop: never })).toEqual(report);
    expect(await plugin.kill()).toEqual(report);
  });

  it.each([
    { request: { graceMs: -1 }, message: /graceMs must be/ },
    { request: { graceMs: Number.NaN }, message: /graceMs must be/ },
    { request: { graceMs: 0, termGraceMs: Number.POSITIVE_INFINITY }, message: /termGraceMs must be/ },
  ])("refuses $request", async ({ request, message }) => {
    await using plugin = await launchFixture("ready-plugin.mjs");
    await expect(plugin.stop(request)).rejects.toThrow(message);
    expect(await get(plugin.endpoint)).toContain("PORT");
  });
});

describe("the group of a plugin", { timeout: 60_000 }, () => {
  it("ends with its leader, whatever the leader started", async () => {
    await using witness = await createWitness();
    await using plugin = await launchFixture("family-plugin.mjs", { env: { WITNESS: witness.path } });
    const grandchild = await witness.arrived("grandchild");
    await get(plugin.endpoint); // the leader exits with code 0; the grandchild holds its stdout open
    expect(await plugin.exited).toEqual({ code: 0, signal: null, how: "exited" });
    await witness.left("grandchild");
    expect(grandchild).not.toBe(plugin.pid);
  });

  it("ends by stop, members that ignore SIGTERM included", async () => {
    await using witness = await createWitness();
    await using plugin = await launchFixture("family-plugin.mjs", { env: { WITNESS: witness.path } });
    await witness.arrived("grandchild");
    expect(await plugin.stop({ graceMs: 0 })).toEqual({ code: null, signal: "SIGTERM", how: "sigterm" });
    await witness.left("grandchild");
  });
});
