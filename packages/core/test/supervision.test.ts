import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { definePlugin } from "../src/definition/plugin-definition.ts";
import { Logger } from "../src/gen/capability/logger/v1/logger_pb.ts";
import { LaunchError } from "../src/launch/launch-error.ts";
import { nodeStrategy } from "../src/launch/process/node-strategy.ts";
import { processStrategy } from "../src/launch/process/process-strategy.ts";
import { supervisePlugin } from "../src/supervision/supervise-plugin.ts";
import { SupervisionError } from "../src/supervision/supervision-error.ts";
import type { SupervisionEvent } from "../src/supervision/supervision-event.ts";
import type { SupervisionStateName } from "../src/supervision/supervision-state.ts";
import { fixture } from "./fixtures/launch-fixture.ts";
import { createEventLog, type EventLog } from "./support/event-log.ts";

const logger = definePlugin({ name: "logger", version: "1.0.0", service: Logger });
const quick = { backoff: { initialMs: 1, maxMs: 10 } };

async function errorOf(work: Promise<unknown>): Promise<ConnectError> {
  return ConnectError.from(
    await work.then(
      () => undefined,
      (reason: unknown) => reason,
    ),
  );
}

/** The first change to this state at launch number `launch`. */
function change(events: EventLog<SupervisionEvent>, state: SupervisionStateName, launch: number) {
  return events.find((event) => event.type === "state" && event.state === state && event.launch === launch);
}

describe("a supervised process", { timeout: 60_000 }, () => {
  it("killed by SIGKILL comes back by itself, and the same client object works", async () => {
    const events = createEventLog<SupervisionEvent>();
    await using plugin = supervisePlugin({
      strategy: nodeStrategy({ entry: fixture("logger-plugin.ts") }),
      plugins: { logger },
      restart: quick,
      onCallsWhileDown: "wait",
      maxWaitMs: 30_000,
      onEvent: events.add,
    });
    const client = await plugin.dispense("logger");
    await client.log({ message: "before" });
    const { pid } = plugin.snapshot();
    process.kill(pid ?? 0, "SIGKILL");
    expect(await change(events, "waiting", 1)).toMatchObject({
      from: "running",
      cause: "exited",
      exit: { code: null, signal: "SIGKILL", how: "exited" },
      stderrTail: [": before"],
    });
    await client.log({ message: "after" });
    expect(plugin.snapshot()).toMatchObject({ state: "running", launches: 2, ends: 1 });
    expect(plugin.snapshot().pid).not.toBe(pid);
    expect(await plugin.stop({ graceMs: 20_000 })).toMatchObject({ code: 0, how: "asked" });
    expect(plugin.state).toBe("stopped");
  });

  it("blocked in a loop is named, killed and restarted; its call fails as unavailable and says why", async () => {
    const events = createEventLog<SupervisionEvent>();
    await using plugin = supervisePlugin({
      strategy: nodeStrategy({ entry: fixture("blocking-plugin.ts") }),
      plugins: { logger },
      restart: quick,
      probe: { intervalMs: 100, timeoutMs: 1_000, failures: 2 },
      onEvent: events.add,
    });
    await plugin.whenRunning();
    const client = await plugin.dispense("logger");
    const error = await errorOf(client.log({ message: "block" }));
    expect(Code[error.code]).toBe("Unavailable");
    expect(error.cause).toBeInstanceOf(LaunchError);
    expect(error.rawMessage).toMatch(/event loop is blocked.*ended by SIGKILL.*\n {2}block$/s);
    expect(await change(events, "blocked", 1)).toMatchObject({ cause: "blocked", stderrTail: ["block"] });
    expect(await change(events, "waiting", 1)).toMatchObject({
      from: "blocked",
      cause: "blocked",
      exit: { signal: "SIGKILL", how: "sigkill" },
      error: { rawMessage: expect.stringMatching(/event loop is blocked.*answered none of 2 probes/) },
    });
    await change(events, "running", 2);
    await client.log({ message: "again" });
  });

  it("that crashes at each start ends up crash-looping, with its last words; reset begins anew", async () => {
    const events = createEventLog<SupervisionEvent>();
    await using plugin = supervisePlugin({
      strategy: nodeStrategy({ entry: fixture("crash-at-start.mjs") }),
      plugins: { logger },
      restart: { ...quick, maxRestarts: 2 },
      onCallsWhileDown: "wait",
      onEvent: events.add,
    });
    expect(await change(events, "crash-looping", 3)).toMatchObject({
      ends: 3,
      exit: { code: 3 },
      stderrTail: ["reading the configuration", "no database: giving up"],
    });
    const error = await errorOf((await plugin.dispense("logger")).log({ message: "anybody there?" }));
    expect(Code[error.code]).toBe("Unavailable");
    expect(error.cause).toBeInstanceOf(SupervisionError);
    expect(error.cause).toMatchObject({ state: "crash-looping", exit: { code: 3 } });
    expect(error.rawMessage).toMatch(/ended too often.*no database: giving up/s);
    plugin.reset();
    expect(plugin.snapshot()).toMatchObject({ state: "starting", ends: 0 });
    await change(events, "crash-looping", 6);
  });

  it("whose program is missing fails at once and names it", async () => {
    await using plugin = supervisePlugin({
      strategy: processStrategy({ command: "/nonexistent/plugin" }),
      plugins: { logger },
    });
    const error = await errorOf(plugin.whenRunning());
    expect(error.rawMessage).toMatch(/cannot run.*program \/nonexistent\/plugin not found/);
    expect(plugin.snapshot()).toMatchObject({ state: "failed", launches: 1 });
  });

  it("that is foreign and answers garbage to probes lives on", async () => {
    const lines = createEventLog<string>();
    await using plugin = supervisePlugin({
      strategy: nodeStrategy({ entry: fixture("garbage-plugin.ts") }),
      plugins: { logger },
      probe: { intervalMs: 10, timeoutMs: 10_000, failures: 1 },
      onLog: ({ line }) => lines.add(line),
    });
    await lines.find((line) => line === "probed three times");
    expect(plugin.snapshot()).toMatchObject({ state: "running", launches: 1, misses: 0 });
    await plugin.stop({ graceMs: 0, termGraceMs: 0 });
  });

  it("is restarted on demand once it has finished its call, and stopped while it starts", async () => {
    await using plugin = supervisePlugin({
      strategy: nodeStrategy({ entry: fixture("logger-plugin.ts") }),
      plugins: { logger },
    });
    await plugin.whenRunning();
    const { pid } = plugin.snapshot();
    await plugin.restart({ graceMs: 20_000 });
    expect(plugin.snapshot()).toMatchObject({ state: "running", launches: 2, ends: 0, lastEnd: { cause: "restart" } });
    expect(plugin.snapshot().pid).not.toBe(pid);
    const restarted = errorOf(plugin.restart());
    await plugin.stop();
    expect(Code[(await restarted).code]).toBe("Unavailable");
  });
});
