import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createHealthReporter, type ServingStatus } from "./health-reporter.ts";
import { HEALTHY, type PluginHealth } from "./plugin-health.ts";

const never = new AbortController().signal;
const unhealthy: PluginHealth = { state: "unhealthy", reason: "disk full", unavailableDependencies: [] };
const degraded: PluginHealth = { state: "degraded", reason: "slow", unavailableDependencies: ["cache"] };

function reporter(maxWatchers?: number) {
  return createHealthReporter({ plugins: ["kv", "log"], maxWatchers });
}

describe("status", () => {
  it.each([
    { change: "nothing", act: () => {}, all: "serving", kv: "serving", log: "serving" },
    { change: "one plugin not serving", act: "set", all: "not-serving", kv: "not-serving", log: "serving" },
    { change: "own health degraded", act: degraded, all: "serving", kv: "serving", log: "serving" },
    { change: "own health unhealthy", act: unhealthy, all: "not-serving", kv: "serving", log: "serving" },
    { change: "drain", act: "drain", all: "not-serving", kv: "not-serving", log: "not-serving" },
  ] as const)("after $change: overall $all, kv $kv, log $log", ({ act, all, kv, log }) => {
    const health = reporter();
    if (act === "set") health.set("kv", "not-serving");
    else if (act === "drain") health.drain();
    else if (typeof act === "object") health.setHealth(act);
    expect([health.status(""), health.status("kv"), health.status("log")]).toEqual([all, kv, log]);
  });

  it("refuses a status that is none, and keeps what was", () => {
    const health = createHealthReporter({ plugins: ["kv"] });
    expect(() => health.set("kv", JSON.parse('"healthy"'))).toThrow('status must be "serving" or "not-serving"');
    expect(health.status("kv")).toBe("serving");
  });

  it("is undefined for a name that is no plugin, and stays so when the server drains", () => {
    const health = reporter();
    expect(health.status("other")).toBeUndefined();
    health.drain();
    expect(health.status("other")).toBeUndefined();
    expect(health.status("__proto__")).toBeUndefined();
  });

  it("does not come back after drain", () => {
    const health = reporter();
    health.drain();
    health.set("kv", "serving");
    health.setHealth(HEALTHY);
    expect(health.status("")).toBe("not-serving");
    expect(health.report().state).toBe("unhealthy");
  });

  it("refuses an unknown plugin and changes nothing", () => {
    const health = reporter();
    expect(() => health.set("other", "not-serving")).toThrow(/no plugin "other"/);
    expect(health.status("")).toBe("serving");
  });
});

describe("report", () => {
  it.each([
    { own: HEALTHY, down: [], state: "healthy", reason: "" },
    { own: HEALTHY, down: ["kv"], state: "degraded", reason: "not serving: kv" },
    { own: HEALTHY, down: ["kv", "log"], state: "unhealthy", reason: "not serving: kv, log" },
    { own: degraded, down: [], state: "degraded", reason: "slow" },
    { own: degraded, down: ["kv"], state: "degraded", reason: "slow; not serving: kv" },
    { own: unhealthy, down: ["kv"], state: "unhealthy", reason: "disk full; not serving: kv" },
  ] as const)(
    "is no better than what is served: $own.state with $down down -> $state",
    ({ own, down, state, reason }) => {
      const health = reporter();
      health.setHealth(own);
      for (const name of down) health.set(name, "not-serving");
      expect(health.report()).toEqual({ state, reason, unavailableDependencies: own.unavailableDependencies });
    },
  );

  it("tells listeners each change once, and those that throw harm nobody", () => {
    const errors: unknown[] = [];
    const health = createHealthReporter({ plugins: ["kv"], onError: (error) => errors.push(error) });
    const heard: string[] = [];
    const broken = new Error("broken listener");
    health.onChange(() => {
      throw broken;
    });
    const stop = health.onChange(({ state }) => heard.push(state));
    health.setHealth(degraded);
    health.setHealth({ ...degraded });
    health.set("kv", "serving");
    health.drain();
    health.drain();
    expect(heard).toEqual(["degraded", "unhealthy"]);
    stop();
    expect(errors).toEqual([broken, broken]);
  });

  it("does not change when its maker changes what it gave", () => {
    const health = reporter();
    const dependencies = ["cache"];
    health.setHealth({ state: "degraded", reason: "", unavailableDependencies: dependencies });
    dependencies.push("other");
    expect(health.report().unavailableDependencies).toEqual(["cache"]);
  });

  it.each([
    { field: "state", health: { ...degraded, state: "fine" } },
    { field: "reason", health: { ...degraded, reason: "x".repeat(4097) } },
    { field: "unavailableDependencies", health: { ...degraded, unavailableDependencies: Array(101).fill("a") } },
    { field: "unavailableDependencies[0]", health: { ...degraded, unavailableDependencies: ["../x"] } },
  ])("refuses a bad $field and changes nothing", ({ field, health: bad }) => {
    const health = reporter();
    // @ts-expect-error: what an untyped caller might pass.
    const set = () => health.setHealth(bad);
    expect(set).toThrow(
      expect.objectContaining({ code: Code.InvalidArgument, rawMessage: expect.stringContaining(`${field} must`) }),
    );
    expect(health.report()).toBe(HEALTHY);
  });
});

describe("watch", () => {
  it("sends the present status, then each change", async () => {
    const health = reporter();
    const watch = health.watch("kv", never)[Symbol.asyncIterator]();
    expect(await watch.next()).toEqual({ done: false, value: "serving" });
    const next = watch.next();
    health.set("log", "not-serving");
    health.set("kv", "not-serving");
    expect(await next).toEqual({ done: false, value: "not-serving" });
  });

  it("gives a slow reader the newest, and nothing when that is what it has", async () => {
    const health = reporter();
    const watch = health.watch("kv", never)[Symbol.asyncIterator]();
    await watch.next();
    health.set("kv", "not-serving");
    health.set("kv", "serving");
    const next = watch.next();
    health.set("kv", "not-serving");
    expect(await next).toEqual({ done: false, value: "not-serving" });
  });

  it.each(["", "kv", "other"])('ends with not-serving when the server drains: "%s"', async (name) => {
    const health = reporter();
    const seen: string[] = [];
    const watching = (async () => {
      for await (const status of health.watch(name, never)) {
        seen.push(status);
        health.drain();
      }
    })();
    await watching;
    expect(seen).toEqual([name === "other" ? "unknown" : "serving", "not-serving"]);
  });

  it("that begins after drain sends not-serving and ends", async () => {
    const health = reporter();
    health.drain();
    const seen: string[] = [];
    for await (const status of health.watch("", never)) seen.push(status);
    expect(seen).toEqual(["not-serving"]);
  });

  it("ends when its signal aborts, while it waits and between two reads", async () => {
    const health = reporter(1);
    const first = new AbortController();
    const waiting = health.watch("", first.signal)[Symbol.asyncIterator]();
    await waiting.next();
    const next = waiting.next();
    first.abort();
    expect(await next).toEqual({ done: true, value: undefined });

    const second = new AbortController();
    const idle = health.watch("", second.signal)[Symbol.asyncIterator]();
    await idle.next();
    second.abort();
    // Its place is free although nobody reads any more.
    expect(() => health.watch("", never)).not.toThrow();
  });

  it("has a cap; each way to leave makes room", async () => {
    const health = reporter(2);
    const aborted = new AbortController();
    health.watch("", aborted.signal);
    const left = health.watch("", never)[Symbol.asyncIterator]();
    await left.next();
    const next = left.next();
    const full = () => health.watch("", never);
    expect(full).toThrow(expect.objectContaining({ code: Code.ResourceExhausted }));
    aborted.abort();
    await left.return?.();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(() => [full(), full()]).not.toThrow();
    expect(full).toThrow(ConnectError);
  });

  it.each([0, 1.5, Number.NaN])("refuses a cap of %d", (maxWatchers) => {
    expect(() => reporter(maxWatchers)).toThrow(/maxWatchers must be/);
  });

  it("law: whatever happens, the last status read is the status, and no two in a row are the same", async () => {
    const step = fc.oneof(
      fc.record({
        plugin: fc.constantFrom("kv", "log"),
        status: fc.constantFrom<ServingStatus>("serving", "not-serving"),
      }),
      fc.constantFrom(HEALTHY, degraded, unhealthy),
      fc.constant("read"),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.constantFrom("", "kv"), async (steps, name) => {
        const health = reporter();
        const stop = new AbortController();
        const watch = health.watch(name, stop.signal)[Symbol.asyncIterator]();
        const seen: string[] = [];
        let reading: Promise<unknown> | undefined;
        const read = () => {
          reading ??= watch.next().then((result) => {
            if (!result.done) seen.push(result.value);
            reading = undefined;
          });
        };
        for (const action of [...steps, "read" as const]) {
          if (action === "read") read();
          else if ("plugin" in action) health.set(action.plugin, action.status);
          else health.setHealth(action);
          await Promise.resolve();
        }
        read();
        for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
        read();
        for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
        expect(seen.at(-1)).toBe(health.status(name));
        expect(seen.every((status, index) => status !== seen[index + 1])).toBe(true);
        stop.abort();
        await reading;
      }),
    );
  });
});
