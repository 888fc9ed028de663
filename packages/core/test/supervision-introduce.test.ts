import { Code, ConnectError } from "@connectrpc/connect";
import { LaunchError, type LaunchedPlugin, memoryStrategy, type PluginServer, supervisePlugin } from "@cpg/core";
import { type SupervisedProgram, superviseLaunches } from "@cpg/core/extension";
import { describe, expect, it } from "vitest";
import type { SupervisionEvent } from "../src/supervision/supervision-event.ts";
import { createEventLog } from "./support/event-log.ts";
import { echo } from "./support/started-server.ts";

const plugins = { echo };
type Plugin = LaunchedPlugin<typeof plugins>;

/** Plugins in memory, and the servers that they are. */
function createMemoryPlugins() {
  const servers: PluginServer[] = [];
  const unused = () => {
    throw new ConnectError("not part of the test", Code.Internal);
  };
  const strategy = memoryStrategy({
    plugins,
    impls: {
      echo: { unary: ({ text }) => ({ text }), serverStream: unused, clientStream: unused, bidiStream: unused },
    },
    onStart: (server) => void servers.push(server),
  });
  return { strategy, servers };
}

const quick = { backoff: { initialMs: 1, maxMs: 10 } };

describe("the introduction of a supervised plugin", { timeout: 60_000 }, () => {
  it("comes before it counts as running, at each launch", async () => {
    const { strategy, servers } = createMemoryPlugins();
    const events = createEventLog<SupervisionEvent>();
    const introduced: { plugin: Plugin; state: string }[] = [];
    await using supervised = supervisePlugin({
      strategy,
      plugins,
      restart: quick,
      probe: false,
      onEvent: events.add,
      async introduce(plugin) {
        await plugin.dispense("echo").then((client) => client.unary({ text: "may be called" }));
        introduced.push({ plugin, state: supervised.state });
      },
    });
    await supervised.whenRunning();
    await servers[0]?.close({ graceMs: 0 });
    await events.find((event) => event.type === "state" && event.state === "running" && event.launch === 2);
    expect(introduced.map(({ state }) => state)).toEqual(["starting", "starting"]);
    expect(introduced[0]?.plugin).not.toBe(introduced[1]?.plugin);
  });

  it("that fails is a failed launch, and leaves nothing", async () => {
    const { strategy, servers } = createMemoryPlugins();
    const events = createEventLog<SupervisionEvent>();
    let attempts = 0;
    await using supervised = supervisePlugin({
      strategy,
      plugins,
      restart: quick,
      probe: false,
      onEvent: events.add,
      async introduce() {
        attempts++;
        if (attempts === 1) throw new ConnectError("not today", Code.Unavailable);
        if (attempts === 2) throw new ConnectError("nor ever", Code.PermissionDenied);
        throw new ConnectError("it does not fit", Code.FailedPrecondition);
      },
    });
    const failed = await events.find((event) => event.type === "state" && event.state === "failed");
    expect(attempts).toBe(3);
    expect(failed).toMatchObject({ cause: "launch-failed", error: { code: Code.FailedPrecondition } });
    const { error } = failed as { error: ConnectError };
    expect(error.cause).toBeInstanceOf(LaunchError);
    expect(error.cause).toMatchObject({ plugin: "echo", stage: "introduce" });
    expect(error.rawMessage).toContain("it does not fit");
    await Promise.all(servers.map(({ closed }) => closed));
    expect(supervised.snapshot()).toMatchObject({ launches: 3 });
  });

  it("is given up when the plugin ends meanwhile, and tells that", async () => {
    const { strategy, servers } = createMemoryPlugins();
    const events = createEventLog<SupervisionEvent>();
    const given = Promise.withResolvers<AbortSignal>();
    await using _supervised = supervisePlugin({
      strategy,
      plugins,
      restart: { ...quick, maxRestarts: 0 },
      probe: false,
      onEvent: events.add,
      introduce(_plugin, { signal }) {
        given.resolve(signal);
        return new Promise(() => {}); // looks at no signal
      },
    });
    const signal = await given.promise;
    await servers[0]?.close({ graceMs: 0 });
    const failed = await events.find((event) => event.type === "state" && event.state === "crash-looping");
    expect(failed).toMatchObject({ cause: "launch-failed", error: { cause: { stage: "introduce" } } });
    expect(signal.aborted).toBe(true);
  });

  it("is given up when the supervision stops", async () => {
    const { strategy, servers } = createMemoryPlugins();
    const given = Promise.withResolvers<AbortSignal>();
    const supervised = supervisePlugin({
      strategy,
      plugins,
      introduce(_plugin, { signal }) {
        given.resolve(signal);
        return new Promise(() => {});
      },
    });
    const signal = await given.promise;
    await supervised.stop();
    expect(signal.aborted).toBe(true);
    await servers[0]?.closed;
    expect(supervised.state).toBe("stopped");
  });
});

describe("superviseLaunches", { timeout: 60_000 }, () => {
  it("keeps running whatever it is that is launched", async () => {
    const ends: (() => void)[] = [];
    const events = createEventLog<SupervisionEvent>();
    const supervised = superviseLaunches({
      name: "thing",
      restart: quick,
      probe: false,
      onEvent: events.add,
      launch: async () => createProgram(ends),
    });
    await supervised.whenRunning();
    ends[0]?.();
    const ended = await events.find((event) => event.type === "state" && event.state === "waiting");
    expect(ended).toMatchObject({ plugin: "thing", exit: { how: "detached" } });
    await events.find((event) => event.type === "state" && event.state === "running" && event.launch === 2);
    expect(await supervised.stop()).toMatchObject({ how: "detached" });
    expect(ends.length).toBe(2);
  });

  it("refuses bad options, naming them", () => {
    const launch = () => Promise.reject(new Error("not used"));
    expect(() => superviseLaunches({ name: "thing", restart: { maxRestarts: -1 }, launch })).toThrow("maxRestarts");
  });
});

function createProgram(ends: (() => void)[]): SupervisedProgram {
  const { promise: exited, resolve } = Promise.withResolvers<{ code: null; signal: null; how: "detached" }>();
  const end = () => {
    resolve({ code: null, signal: null, how: "detached" });
    return exited;
  };
  ends.push(() => void end());
  const openTransport = () => {
    throw new Error("not probed");
  };
  return {
    endpoint: "http://thing",
    pid: undefined,
    exited,
    stderrTail: () => [],
    stop: end,
    kill: end,
    openTransport,
  };
}
