import { Code, ConnectError } from "@connectrpc/connect";
import { definePlugin, type SupervisionEvent, supervisePlugin, workerStrategy } from "@cpg/core";
import { describe, expect, it } from "vitest";
import { fixture } from "./fixtures/launch-fixture.ts";
import { EchoService } from "./support/echo-service.ts";
import { createEventLog, type EventLog } from "./support/event-log.ts";

const plugins = { echo: definePlugin({ name: "echo", version: "1.0.0", service: EchoService }) };
const strategy = workerStrategy({ entry: fixture("worker-plugin.ts") });
const restart = { backoff: { initialMs: 1, maxMs: 10 } };

/** The first change to this state at launch number `launch`. */
function change(events: EventLog<SupervisionEvent>, state: string, launch: number) {
  return events.find((event) => event.type === "state" && event.state === state && event.launch === launch);
}

async function errorOf(work: Promise<unknown>): Promise<ConnectError> {
  return ConnectError.from(await work.catch((reason: unknown) => reason));
}

describe("a supervised worker thread", { timeout: 60_000 }, () => {
  it.each([
    { text: "loop", sign: "looping" },
    { text: "wait", sign: "waiting" },
  ])("that is stuck ($text) is found by the probe, ended and restarted; its call says why", async ({ text, sign }) => {
    const events = createEventLog<SupervisionEvent>();
    await using plugin = supervisePlugin({
      strategy,
      plugins,
      restart,
      probe: { intervalMs: 100, timeoutMs: 1_000, failures: 2 },
      onEvent: events.add,
    });
    await plugin.whenRunning();
    const echo = await plugin.dispense("echo");
    const error = await errorOf(echo.unary({ text }));
    expect(Code[error.code]).toBe("Unavailable");
    expect(error.rawMessage).toMatch(new RegExp(`event loop is blocked.*was terminated.*\\n {2}${sign}$`, "s"));
    expect(await change(events, "waiting", 1)).toMatchObject({
      from: "blocked",
      cause: "blocked",
      exit: { code: 1, signal: null, how: "terminated" },
      stderrTail: [sign],
    });
    await change(events, "running", 2);
    expect((await echo.unary({ text: "again" })).text).toBe("again");
    expect(await plugin.stop({ graceMs: 20_000 })).toMatchObject({ code: 0, how: "asked" });
  });

  it.each(["throw", "exit", "reject"])(
    "that ends (%s) comes back by itself, and the same client works",
    async (text) => {
      const events = createEventLog<SupervisionEvent>();
      await using plugin = supervisePlugin({
        strategy,
        plugins,
        restart,
        onCallsWhileDown: "wait",
        maxWaitMs: 30_000,
        onEvent: events.add,
      });
      const echo = await plugin.dispense("echo");
      expect(Code[(await errorOf(echo.unary({ text }))).code]).toBe("Unavailable");
      expect(await change(events, "waiting", 1)).toMatchObject({ cause: "exited", exit: { how: "exited" } });
      expect((await echo.unary({ text: "again" })).text).toBe("again");
      expect(plugin.snapshot()).toMatchObject({ state: "running", launches: 2, ends: 1 });
    },
  );
});
