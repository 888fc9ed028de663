import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { FakeLaunch, type FakeProcess } from "../../test/support/fake-launches.ts";
import { definePlugin } from "../definition/plugin-definition.ts";
import { Logger } from "../gen/capability/logger/v1/logger_pb.ts";
import { HealthService } from "../gen/connectplugin/health/v1/health_pb.ts";
import { launchFailed } from "../launch/launch-error.ts";
import { createSupervisedPlugin, type SupervisedPlugin } from "./supervised-plugin.ts";
import { SupervisionError } from "./supervision-error.ts";
import type { SupervisionEvent } from "./supervision-event.ts";
import { resolveSupervisionOptions, type SupervisePluginOptions } from "./supervision-options.ts";

const plugins = {
  logger: definePlugin({ name: "logger", version: "1.0.0", service: Logger }),
  health: definePlugin({ name: "health", version: "1.0.0", service: HealthService }),
};
type Plugins = typeof plugins;
type Options = Partial<SupervisePluginOptions<Plugins>>;

interface Setup extends AsyncDisposable {
  readonly plugin: SupervisedPlugin<Plugins>;
  readonly log: Client<typeof Logger>["log"];
  readonly clock: FakeClock;
  readonly launches: readonly FakeLaunch[];
  readonly events: readonly SupervisionEvent[];
  /** Lets the present launch succeed. */
  run(): Promise<FakeProcess>;
  /** Lets what is due happen, in standing time. */
  settle(): Promise<void>;
  /** "from -> to (cause)" for each change so far. */
  changes(): string[];
}

/** A supervised plugin whose launches the test decides about, in standing time. Fails the test that leaves anything behind. */
async function setUp(options: Options = {}, time: (clock: FakeClock) => Clock = (fake) => fake): Promise<Setup> {
  const clock = new FakeClock();
  const launches: FakeLaunch[] = [];
  const processes: FakeProcess[] = [];
  const events: SupervisionEvent[] = [];
  const { onEvent = () => {}, ...rest } = options;
  const resolved = resolveSupervisionOptions({
    strategy: { kind: "fake", launch: () => Promise.reject(new Error("not used")) },
    plugins,
    clock: time(clock),
    random: () => 0,
    restart: { backoff: { initialMs: 100, maxMs: 1_000, jitter: "none" }, maxRestarts: 2, windowMs: 60_000 },
    probe: false,
    onEvent(event) {
      events.push(event);
      return onEvent(event);
    },
    ...rest,
  });
  const plugin = createSupervisedPlugin<Plugins>({
    ...resolved,
    name: "p",
    plugins,
    launch(signal) {
      const launch = new FakeLaunch(launches.length + 1, signal);
      launch.honourAbort();
      launches.push(launch);
      return launch.outcome.promise;
    },
  });
  const { log } = await plugin.dispense("logger");
  return {
    plugin,
    log,
    clock,
    launches,
    events,
    async run() {
      const process = (launches.at(-1) as FakeLaunch).succeed();
      processes.push(process);
      await clock.advance(0);
      return process;
    },
    settle: () => clock.advance(0),
    changes: () =>
      events.flatMap((event) => (event.type === "state" ? [`${event.from} -> ${event.state} (${event.cause})`] : [])),
    async [Symbol.asyncDispose]() {
      await plugin.stop({ graceMs: 1, termGraceMs: 1 });
      expect(clock.pending).toBe(0);
      expect(plugin.snapshot().waitingCalls).toBe(0);
      expect(plugin.state).toBe("stopped");
      for (const { number, ended, closed, openTransports } of processes) {
        expect({ number, ended, closed, openTransports }).toEqual({
          number,
          ended: true,
          closed: true,
          openTransports: 0,
        });
      }
    },
  };
}

async function errorOf(work: Promise<unknown>): Promise<ConnectError> {
  return ConnectError.from(
    await work.then(
      () => undefined,
      (reason: unknown) => reason,
    ),
  );
}

/** "Code state" of a call that was refused. */
async function refusalOf(work: Promise<unknown>): Promise<string> {
  const { code, cause } = await errorOf(work);
  return `${Code[code]} ${cause instanceof SupervisionError ? cause.state : "?"}`;
}

describe("a supervised plugin", () => {
  it("launches at once, and gives the same client object for all of its processes", async () => {
    await using setup = await setUp();
    const { plugin, log, clock, run } = setup;
    const client = await plugin.dispense("logger");
    const first = await run();
    await log({ message: "one" });
    first.end({ code: 1 });
    await clock.advance(100);
    const second = await run();
    await client.log({ message: "two" });
    expect(await plugin.dispense("logger")).toBe(client);
    expect([first.calls, second.calls]).toEqual([["log one"], ["log two"]]);
    expect(setup.changes()).toEqual([
      "starting -> running (started)",
      "running -> waiting (exited)",
      "waiting -> starting (delay-over)",
      "starting -> running (started)",
    ]);
  });

  it("tells of an end with time, cause, exit report, last words and delay", async () => {
    await using setup = await setUp();
    const process = await setup.run();
    await setup.clock.advance(5);
    process.end({ code: 7 });
    await setup.settle();
    expect(setup.events.at(-1)).toMatchObject({
      type: "state",
      plugin: "p",
      timeMs: 1_700_000_000_005,
      launch: 1,
      from: "running",
      state: "waiting",
      cause: "exited",
      exit: { code: 7, signal: null, how: "exited" },
      stderrTail: ["last words of 1"],
      delayMs: 100,
      ends: 1,
    });
    expect(setup.plugin.snapshot()).toMatchObject({
      state: "waiting",
      launches: 1,
      ends: 1,
      lastEnd: { cause: "exited" },
    });
  });

  it("spreads its delays by the source of randomness it is given", async () => {
    const restart = { backoff: { initialMs: 100, maxMs: 1_000, jitter: "full" } } as const;
    await using setup = await setUp({ restart, random: () => 0.25 });
    (await setup.run()).end();
    await setup.settle();
    expect(setup.events.at(-1)).toMatchObject({ state: "waiting", delayMs: 25 });
  });

  it("that ends too often is crash-looping; reset forgets the ends, restart does not", async () => {
    await using setup = await setUp();
    const { plugin, clock, launches, settle } = setup;
    for (const delayMs of [100, 200, 0]) {
      launches.at(-1)?.fail(Code.Unavailable);
      await clock.advance(delayMs);
    }
    expect(setup.events.at(-1)).toMatchObject({
      state: "crash-looping",
      cause: "launch-failed",
      ends: 3,
      windowMs: 60_000,
    });
    const restarted = refusalOf(plugin.restart());
    await settle();
    launches.at(-1)?.fail(Code.Unavailable);
    expect(await restarted).toBe("Unavailable ?");
    expect(plugin.snapshot()).toMatchObject({ state: "crash-looping", launches: 4 });
    plugin.reset();
    expect(plugin.snapshot()).toMatchObject({ state: "starting", launches: 5, ends: 0 });
    await setup.run();
    expect(plugin.state).toBe("running");
  });

  it.each([
    {
      name: "failed_precondition",
      reason: launchFailed({ plugin: "p", stage: "verify", code: Code.FailedPrecondition }),
    },
    { name: "a plugin that is lacking", reason: new ConnectError("lacks it", Code.NotFound) },
    { name: "bad options", reason: new RangeError("readyTimeoutMs must be greater than 0") },
  ])("does not try again after $name", async ({ reason }) => {
    await using setup = await setUp({ onCallsWhileDown: "wait" });
    const call = errorOf(setup.log({}));
    setup.launches[0]?.outcome.reject(reason);
    await setup.clock.advance(60_000);
    expect(setup.events.at(-1)).toMatchObject({
      state: "failed",
      cause: "launch-failed",
      error: ConnectError.from(reason),
    });
    expect((await call).rawMessage).toContain(ConnectError.from(reason).rawMessage);
    expect(setup.launches).toHaveLength(1);
    setup.plugin.reset();
    await setup.run();
    expect(setup.plugin.state).toBe("running");
  });

  it.each(["throws", "rejects"])("is not harmed by an onEvent that %s", async (how) => {
    const onEvent = (): unknown => {
      if (how === "throws") throw new Error("a bug in the listener");
      return Promise.reject(new Error("a bug in the listener"));
    };
    await using setup = await setUp({ onEvent });
    setup.plugin.onStateChange(onEvent);
    await setup.run();
    await setup.log({ message: "fine" });
  });

  it("hears a listener out before it does what the listener asks for", async () => {
    const told: string[] = [];
    await using setup = await setUp({ restart: { maxRestarts: 0 } });
    setup.plugin.onStateChange(({ state }) => {
      if (state === "crash-looping") setup.plugin.reset();
    });
    const forget = setup.plugin.onStateChange(({ state }) => told.push(state));
    (await setup.run()).end();
    await setup.settle();
    forget();
    await setup.run();
    expect(told).toEqual(["running", "crash-looping", "starting"]);
  });

  it("refuses a name that is not among its plugins", async () => {
    await using setup = await setUp();
    await expect(setup.plugin.dispense("kv" as "logger")).rejects.toThrow(TypeError);
  });

  it("whenRunning resolves when it runs, and rejects without hope, at its time-out and on abort", async () => {
    await using setup = await setUp();
    const { plugin, clock } = setup;
    const late = errorOf(plugin.whenRunning({ timeoutMs: 10 }));
    await clock.advance(10);
    expect(Code[(await late).code]).toBe("DeadlineExceeded");
    const controller = new AbortController();
    const given = plugin.whenRunning({ signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(given).rejects.toThrow("enough");
    const hopeful = plugin.whenRunning();
    await setup.run();
    await hopeful;
    await plugin.whenRunning();
    await plugin.stop();
    expect(await refusalOf(plugin.whenRunning())).toBe("Unavailable stopped");
  });
});

describe("calls while no process runs", () => {
  it("fail at once, by default, and tell the state, the exit and the last words", async () => {
    await using setup = await setUp();
    expect(await refusalOf(setup.log({}))).toBe("Unavailable starting");
    (await setup.run()).end({ code: 7 });
    await setup.settle();
    const error = await errorOf(setup.log({}));
    expect(Code[error.code]).toBe("Unavailable");
    expect(error.cause).toMatchObject({
      plugin: "p",
      state: "waiting",
      exit: { code: 7 },
      stderrTail: ["last words of 1"],
    });
    expect(error.rawMessage).toMatch(/plugin p waits for its restart; .*exited with code 7.*last words of 1/s);
    await setup.plugin.stop();
    expect(await refusalOf(setup.log({}))).toBe("Unavailable stopped");
  });

  it("wait for the next process if told to, and go on in their order", async () => {
    await using setup = await setUp({ onCallsWhileDown: "wait" });
    const calls = [setup.log({ message: "a" }), setup.log({ message: "b" }), setup.log({ message: "c" })];
    await setup.settle();
    expect(setup.plugin.snapshot().waitingCalls).toBe(3);
    const process = await setup.run();
    await Promise.all(calls);
    expect(process.calls).toEqual(["log a", "log b", "log c"]);
  });

  it("wait over a failed launch, but not beyond hope", async () => {
    await using setup = await setUp({ onCallsWhileDown: "wait", restart: { maxRestarts: 1, backoff: { maxMs: 500 } } });
    const call = refusalOf(setup.log({}));
    setup.launches[0]?.fail(Code.Unavailable);
    await setup.clock.advance(500);
    expect(setup.plugin.snapshot()).toMatchObject({ state: "starting", waitingCalls: 1 });
    setup.launches[1]?.fail(Code.Unavailable);
    expect(await call).toBe("Unavailable crash-looping");
    expect(await refusalOf(setup.log({}))).toBe("Unavailable crash-looping");
  });

  it("wait in a bounded number", async () => {
    await using setup = await setUp({ onCallsWhileDown: "wait", maxWaiting: 1 });
    const first = setup.log({ message: "first" });
    expect(await refusalOf(setup.log({ message: "second" }))).toBe("Unavailable starting");
    await setup.run();
    await first;
  });

  it("wait for a bounded time: maxWaitMs, or their own time-out", async () => {
    await using setup = await setUp({ onCallsWhileDown: "wait", maxWaitMs: 100 });
    const long = errorOf(setup.log({}));
    const short = errorOf(setup.log({}, { timeoutMs: 99 }));
    await setup.clock.advance(99);
    expect(Code[(await short).code]).toBe("DeadlineExceeded");
    expect(setup.plugin.snapshot().waitingCalls).toBe(1);
    await setup.clock.advance(1);
    expect((await long).rawMessage).toMatch(/waited for 100 ms/);
    expect(Code[(await long).code]).toBe("Unavailable");
    expect(setup.plugin.snapshot().waitingCalls).toBe(0);
  });

  it("take the time they waited off their own time-out", async () => {
    await using setup = await setUp({ onCallsWhileDown: "wait" });
    const call = setup.log({}, { timeoutMs: 60_000 });
    await setup.clock.advance(4_000);
    const process = await setup.run();
    await call;
    await setup.log({}, { timeoutMs: 60_000 });
    expect(process.timeouts.map((ms) => Math.ceil((ms ?? 0) / 1_000))).toEqual([56, 60]);
  });

  it("leave the queue when they are aborted", async () => {
    await using setup = await setUp({ onCallsWhileDown: "wait" });
    const controller = new AbortController();
    const call = errorOf(setup.log({}, { signal: controller.signal }));
    await setup.settle();
    controller.abort();
    expect(Code[(await call).code]).toBe("Canceled");
    expect(Code[(await errorOf(setup.log({}, { signal: controller.signal }))).code]).toBe("Canceled");
    expect(setup.plugin.snapshot().waitingCalls).toBe(0);
    expect(setup.clock.pending).toBe(0);
  });

  it("as streams wait, too, and end with their process", async () => {
    await using setup = await setUp({ onCallsWhileDown: "wait" });
    const health = await setup.plugin.dispense("health");
    const messages = health.watch({})[Symbol.asyncIterator]();
    const first = messages.next();
    await setup.settle();
    const process = await setup.run();
    expect(await first).toMatchObject({ value: { status: 1 } });
    const second = errorOf(messages.next());
    process.end({ code: 7 });
    expect(Code[(await second).code]).toBe("Unavailable");
  });

  it("as streams that the reader leaves while they wait leave the queue", async () => {
    await using setup = await setUp({ onCallsWhileDown: "wait" });
    const health = await setup.plugin.dispense("health");
    const messages = health.watch({})[Symbol.asyncIterator]();
    await setup.settle();
    expect(setup.plugin.snapshot().waitingCalls).toBe(1);
    expect(await messages.return?.()).toEqual({ done: true, value: undefined });
    expect(setup.plugin.snapshot().waitingCalls).toBe(0);
  });

  it("as streams that the reader leaves later end their call", async () => {
    await using setup = await setUp({ onCallsWhileDown: "wait" });
    const health = await setup.plugin.dispense("health");
    const messages = health.watch({})[Symbol.asyncIterator]();
    const first = messages.next();
    const process = await setup.run();
    await first;
    await messages.return?.();
    await setup.settle();
    expect(process.calls).toEqual(["watch left"]);
  });

  it("as streams that nobody reads are no unhandled rejection", async () => {
    await using setup = await setUp();
    (await setup.plugin.dispense("health")).watch({});
    await setup.settle();
  });
});

describe("calls of a process that ends", () => {
  it("are sent again when they wait and have reached nobody", async () => {
    await using setup = await setUp({ onCallsWhileDown: "wait" });
    const first = await setup.run();
    first.called = "refuses connections";
    first.end();
    const call = setup.log({ message: "again" });
    await setup.clock.advance(100);
    const second = await setup.run();
    await call;
    expect([first.calls, second.calls]).toEqual([[], ["log again"]]);
  });

  it.each([
    { called: "breaks connections", onCallsWhileDown: "wait", message: /lost: reset/ },
    { called: "refuses connections", onCallsWhileDown: "fail", message: /cannot connect.*: refused/ },
  ] as const)(
    "are not sent again when it $called and calls $onCallsWhileDown",
    async ({ called, onCallsWhileDown, message }) => {
      await using setup = await setUp({ onCallsWhileDown });
      const first = await setup.run();
      first.called = called;
      first.end();
      const error = await errorOf(setup.log({}));
      expect(Code[error.code]).toBe("Unavailable");
      expect(error.rawMessage).toMatch(message);
    },
  );

  it("are not sent again to the same process", async () => {
    await using setup = await setUp({ onCallsWhileDown: "wait" });
    (await setup.run()).called = "refuses connections";
    expect(Code[(await errorOf(setup.log({}))).code]).toBe("Unavailable");
  });

  it("fail as unavailable, not as canceled, when their connection is closed first", async () => {
    await using setup = await setUp();
    const first = await setup.run();
    first.called = "is closed";
    const alive = await errorOf(setup.log({}));
    const call = errorOf(setup.log({}));
    first.end({ code: 7 });
    const ended = await call;
    expect([alive, ended].map(({ code }) => Code[code])).toEqual(["Canceled", "Unavailable"]);
    expect(ended.rawMessage).toMatch(/exited with code 7.*last words of 1/s);
  });
});

describe("probes", () => {
  const probe = { intervalMs: 1_000, timeoutMs: 200, failures: 2 };

  it("that meet silence name the plugin blocked; it is killed and restarted", async () => {
    await using setup = await setUp({ probe });
    const process = await setup.run();
    process.probed = "is silent";
    await setup.clock.advance(1_200);
    expect(setup.events.at(-1)).toMatchObject({ type: "probe-missed", misses: 1, failures: 2 });
    expect(setup.plugin.snapshot().misses).toBe(1);
    await setup.clock.advance(1_200);
    expect(process.calls).toEqual(["kill"]);
    expect(setup.changes().slice(1)).toEqual(["running -> blocked (blocked)", "blocked -> waiting (blocked)"]);
    expect(setup.events.at(-1)).toMatchObject({
      exit: { signal: "SIGKILL", how: "sigkill" },
      stderrTail: ["last words of 1"],
      error: { rawMessage: expect.stringMatching(/event loop is blocked/) },
    });
    await setup.clock.advance(100);
    await setup.run();
    expect(setup.plugin.state).toBe("running");
  });

  it("that cannot connect name the plugin unresponsive", async () => {
    await using setup = await setUp({ probe });
    (await setup.run()).probed = "refuses connections";
    await setup.clock.advance(2_000);
    expect(setup.changes().slice(1)).toEqual([
      "running -> unresponsive (unresponsive)",
      "unresponsive -> waiting (unresponsive)",
    ]);
  });

  it("that fail in different ways name it unresponsive", async () => {
    await using setup = await setUp({ probe });
    const process = await setup.run();
    process.probed = "refuses connections";
    await setup.clock.advance(1_000);
    process.probed = "is silent";
    await setup.clock.advance(1_200);
    expect(setup.changes()).toContain("running -> unresponsive (unresponsive)");
  });

  it("take any answer for a sign of life, which makes up for misses", async () => {
    await using setup = await setUp({ probe });
    const process = await setup.run();
    for (const probed of ["is silent", "answers garbage", "is silent", "answers"] as const) {
      process.probed = probed;
      await setup.clock.advance(1_200);
    }
    expect(setup.events.filter(({ type }) => type === "probe-missed")).toHaveLength(2);
    expect(setup.plugin.snapshot()).toMatchObject({ state: "running", misses: 0 });
  });

  it("that this process was too busy to follow count for nothing", async () => {
    let lostMs = 0;
    const time = (fake: FakeClock): Clock => ({
      now: () => fake.now(),
      monotonic: () => fake.monotonic() + lostMs,
      sleep(ms, signal) {
        if (ms === probe.timeoutMs) lostMs += 1_000;
        return fake.sleep(ms, signal);
      },
    });
    await using setup = await setUp({ probe }, time);
    (await setup.run()).probed = "is silent";
    await setup.clock.advance(10_000);
    expect(setup.plugin.state).toBe("running");
  });

  it("end with the process", async () => {
    await using setup = await setUp({ probe });
    const process = await setup.run();
    process.probed = "is silent";
    await setup.clock.advance(1_100);
    expect(process.openTransports).toBe(1);
    process.end();
    await setup.settle();
    expect(process.openTransports).toBe(0);
    expect(setup.clock.pending).toBe(1); // the delay
  });

  it("find a process that cannot be killed: supervision fails and says so", async () => {
    await using setup = await setUp({ probe });
    const process = await setup.run();
    process.probed = "is silent";
    process.unkillable = true;
    await setup.clock.advance(2_400);
    expect(setup.events.at(-1)).toMatchObject({
      state: "failed",
      cause: "unkillable",
      error: { rawMessage: "still there" },
    });
    // Its late end does not touch the launch after it.
    setup.plugin.reset();
    await setup.run();
    process.end();
    await setup.settle();
    expect(setup.plugin.snapshot()).toMatchObject({ state: "running", launches: 2, lastEnd: undefined });
  });
});

describe("restart", () => {
  it("asks the process to end, starts the next at once, and counts no end", async () => {
    await using setup = await setUp();
    const first = await setup.run();
    const restarted = setup.plugin.restart({ graceMs: 5 });
    await setup.settle();
    const second = await setup.run();
    await restarted;
    expect(first.calls).toEqual(["stop 5"]);
    expect(second.number).toBe(2);
    expect(setup.plugin.snapshot()).toMatchObject({ state: "running", ends: 0, lastEnd: { cause: "restart" } });
  });

  it("cuts a wait short", async () => {
    await using setup = await setUp();
    (await setup.run()).end();
    await setup.settle();
    const restarted = setup.plugin.restart();
    await setup.run();
    await restarted;
    expect(setup.clock.monotonic()).toBe(0);
  });

  it("can be asked for by a listener that hears of a crash loop", async () => {
    await using setup = await setUp({ restart: { maxRestarts: 0 } });
    const restarts: Promise<void>[] = [];
    setup.plugin.onStateChange(({ state }) => {
      if (state === "crash-looping") restarts.push(setup.plugin.restart());
    });
    (await setup.run()).end();
    await setup.settle();
    await setup.run();
    await Promise.all(restarts);
    expect(restarts).toHaveLength(1);
  });

  it("fails with the launch, and when the plugin is stopped", async () => {
    await using setup = await setUp();
    await setup.run();
    const failing = errorOf(setup.plugin.restart());
    await setup.settle();
    setup.launches[1]?.fail(Code.Unavailable, "out of memory");
    expect((await failing).rawMessage).toBe("out of memory");
    const stopped = refusalOf(setup.plugin.restart());
    await setup.settle();
    await setup.plugin.stop();
    expect(await stopped).toBe("Unavailable stopping");
    expect(await refusalOf(setup.plugin.restart())).toBe("Unavailable stopped");
  });
});

describe("stop", () => {
  it("ends a process with the grace it is given, and tells how it ended", async () => {
    await using setup = await setUp({ probe: {} });
    const process = await setup.run();
    const stopping = setup.plugin.stop({ graceMs: 7 });
    expect(setup.plugin.state).toBe("stopping");
    expect(await stopping).toEqual({ code: 0, signal: null, how: "asked" });
    expect(await setup.plugin.stop({ graceMs: 1 })).toEqual(await stopping);
    expect(process.calls).toEqual(["stop 7"]);
    expect(setup.events.at(-1)).toMatchObject({
      state: "stopped",
      exit: { how: "asked" },
      stderrTail: ["last words of 1"],
    });
  });

  it("gives a launch up", async () => {
    await using setup = await setUp({ onCallsWhileDown: "wait" });
    const call = refusalOf(setup.log({}));
    await setup.settle();
    expect(await setup.plugin.stop()).toBeUndefined();
    expect(setup.launches[0]?.signal.aborted).toBe(true);
    expect(setup.plugin.snapshot().lastEnd).toBeUndefined();
    expect(await call).toBe("Unavailable stopping");
  });

  it("ends a process that comes up after all", async () => {
    await using setup = await setUp();
    const process = await setup.run().then((first) => first);
    process.end();
    await setup.clock.advance(100);
    const late = setup.launches[1]?.succeed() as FakeProcess; // just before the abort
    await setup.plugin.stop();
    expect(late.ended).toBe(true);
    expect(setup.changes().at(-1)).toBe("stopping -> stopped (stopped)");
  });

  it.each(["waiting", "crash-looping", "blocked"] as const)("leaves nothing of a plugin that is %s", async (state) => {
    const maxRestarts = state === "crash-looping" ? 0 : 1;
    await using setup = await setUp({
      restart: { maxRestarts },
      probe: { intervalMs: 10, timeoutMs: 10, failures: 1 },
    });
    const process = await setup.run();
    if (state === "blocked") {
      process.probed = "is silent";
      process.plugin.kill = async () => process.plugin.exited; // takes its time
      await setup.clock.advance(20);
    } else {
      process.end();
      await setup.settle();
    }
    expect(setup.plugin.state).toBe(state);
    await setup.plugin.stop();
    expect(setup.clock.pending).toBe(0);
    expect(setup.launches).toHaveLength(1);
  });

  it("does not wait longer for a process that a restart is ending with more patience", async () => {
    await using setup = await setUp();
    const process = await setup.run();
    process.stubborn = true;
    const restarted = refusalOf(setup.plugin.restart({ graceMs: 60_000 }));
    await setup.settle();
    const stopping = setup.plugin.stop({ graceMs: 10, termGraceMs: 5 });
    await setup.clock.advance(15);
    expect(await stopping).toMatchObject({ how: "sigkill" });
    expect(await restarted).toBe("Unavailable stopping");
  });

  it("fails in bounded time when a launch does not give up", async () => {
    const clock = new FakeClock();
    const plugin = createSupervisedPlugin<Plugins>({
      ...resolveSupervisionOptions({ strategy: { kind: "fake", launch: () => Promise.reject() }, plugins, clock }),
      name: "p",
      plugins,
      launch: () => new Promise(() => {}),
    });
    const stopping = errorOf(plugin.stop());
    await clock.advance(10_000);
    expect(Code[(await stopping).code]).toBe("DeadlineExceeded");
    expect(plugin.state).toBe("stopped");
  });

  it("fails when the process cannot be killed, and is over all the same", async () => {
    const setup = await setUp();
    (await setup.run()).unkillable = true;
    const error = await errorOf(setup.plugin.stop());
    expect([Code[error.code], error.rawMessage]).toEqual(["DeadlineExceeded", "still there"]);
    expect(setup.plugin.state).toBe("stopped");
    expect(setup.clock.pending).toBe(0);
  });

  it.each([{ graceMs: Number.NaN }, { termGraceMs: -1 }])("refuses %o and changes nothing", async (options) => {
    await using setup = await setUp();
    await setup.run();
    await expect(setup.plugin.stop(options)).rejects.toThrow(RangeError);
    await expect(setup.plugin.restart(options)).rejects.toThrow(RangeError);
    expect(setup.plugin.state).toBe("running");
  });

  it("can be asked for by a listener", async () => {
    await using setup = await setUp();
    setup.plugin.onStateChange(({ state }) => {
      if (state === "running") void setup.plugin.stop();
    });
    const process = await setup.run();
    expect(process.ended).toBe(true);
    expect(setup.plugin.state).toBe("stopped");
  });
});
