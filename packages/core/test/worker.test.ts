import { execFile } from "node:child_process";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { definePlugin, LaunchError, type LaunchRequest, type LogRecord, launchPlugin, workerStrategy } from "@cpg/core";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import type { WorkerStrategyOptions } from "../src/worker/worker-options.ts";
import { failureOf } from "./fixtures/launch-failure.ts";
import { fixture, launchBy } from "./fixtures/launch-fixture.ts";
import { useTemporaryDirectory } from "./fixtures/temporary-directory.ts";
import { collect } from "./support/collect.ts";
import { EchoService } from "./support/echo-service.ts";
import { createEventLog } from "./support/event-log.ts";

const run = promisify(execFile);
const temporary = useTemporaryDirectory();
const plugins = { echo: definePlugin({ name: "echo", version: "1.0.0", service: EchoService }) };

/** Launches the plugin that does what it is told. */
async function launchEcho(options: Partial<WorkerStrategyOptions> = {}) {
  const logs = createEventLog<LogRecord>();
  const plugin = await launchPlugin({
    strategy: workerStrategy({ entry: fixture("worker-plugin.ts"), ...options }),
    plugins,
    readyTimeoutMs: 30_000,
    onLog: logs.add,
  });
  return {
    plugin,
    logs,
    echo: await plugin.dispense("echo"),
    [Symbol.asyncDispose]: async () => void (await plugin.kill()),
  };
}

function launchWorker(
  name: string,
  options: Partial<WorkerStrategyOptions> = {},
  request: Partial<LaunchRequest> = {},
) {
  return launchBy(workerStrategy({ entry: fixture(name), ...options }), { plugin: "p", ...request });
}

async function errorOf(work: Promise<unknown>): Promise<ConnectError> {
  return ConnectError.from(await work.catch((reason: unknown) => reason));
}

describe("a plugin in a worker thread", { timeout: 60_000 }, () => {
  it("is called like any other, and ends when it is asked to", async () => {
    await using launched = await launchEcho();
    const { plugin, echo } = launched;
    expect(plugin.endpoint).toBe("worker:echo");
    expect(plugin.pid).toBeUndefined();
    expect((await echo.unary({ text: "a" })).text).toBe("a");
    expect(await collect(echo.serverStream({ count: 200 }))).toHaveLength(200);
    const report = await plugin.stop({ graceMs: 20_000 });
    expect(report).toEqual({ code: 0, signal: null, how: "asked" });
    expect(await plugin.exited).toEqual(report);
  });

  it("tells how it was launched: endpoint, readiness, a secret", async () => {
    await using running = await launchWorker("worker-plugin.ts");
    expect(running).toMatchObject({ endpoint: "worker:p", readiness: "ready-message" });
    expect(running.direct?.name).toBe("worker:p");
    expect(running.controlToken).toHaveLength(43);
    const calls = running.direct?.open({});
    expect(calls?.httpVersion).toBeUndefined();
    await calls?.close();
  });

  it("gets arguments, and of the environment what it may have; not the host's own variables", async () => {
    process.env.HOST_SECRET = "s";
    process.env.LC_TEST = "inherited";
    await using launched = await launchEcho({
      args: ["--port", "1"],
      env: { MINE: "yes" },
      nodeArgs: ["--no-warnings"],
    });
    delete process.env.HOST_SECRET;
    delete process.env.LC_TEST;
    const { argv, env, execArgv } = JSON.parse((await launched.echo.unary({ text: "about" })).text);
    expect(argv).toEqual(["--port", "1"]);
    expect(execArgv).toEqual(["--no-warnings"]);
    expect(env).toMatchObject({ MINE: "yes", LC_TEST: "inherited" });
    expect(env).not.toHaveProperty("HOST_SECRET");
    expect(env).not.toHaveProperty("CPG_CONTROL_TOKEN"); // taken by serve, so that nobody inherits it
    expect(process.env).not.toHaveProperty("MINE");
  });

  it("may be named by a URL, and told where its host is", async () => {
    const strategy = workerStrategy({ entry: pathToFileURL(fixture("worker-plugin.ts")), inheritEnv: [] });
    await using running = await launchBy(strategy, { hostUrl: "http://127.0.0.1:9" });
    const calls = running.direct?.open({});
    const { env } = JSON.parse((await createClient(EchoService, transportOf(calls)).unary({ text: "about" })).text);
    expect(env).toEqual({ HOST_URL: "http://127.0.0.1:9" });
    await calls?.close();
  });

  it("is ready with its first handshake, too", async () => {
    await using running = await launchWorker("worker-never-ready.mjs", {}, { handshakeSeen: Promise.resolve() });
    expect(running.readiness).toBe("handshake");
  });
});

describe("a thread that ends", { timeout: 60_000 }, () => {
  const ends: { text: string; options?: Partial<WorkerStrategyOptions>; code: number; tail: RegExp }[] = [
    { text: "throw", code: 1, tail: /Error: boom\n {4}at fail.*worker-plugin.*\[cause\]: Error: the cause of it/s },
    { text: "throw text", code: 1, tail: /just text/ },
    { text: "reject", code: 1, tail: /Error: nobody caught this\n {4}at / },
    { text: "exit", code: 7, tail: /^$/ },
    {
      text: "memory",
      options: { resourceLimits: { maxOldGenerationSizeMb: 32 } },
      code: 1,
      tail: /ERR_WORKER_OUT_OF_MEMORY/,
    },
  ];

  it.each(ends)("by $text ends its calls as unavailable, with its last words, and not the host", async (end) => {
    await using launched = await launchEcho(end.options);
    const { plugin, echo, logs } = launched;
    const stream = errorOf(collect(echo.bidiStream(forEver())));
    const error = await errorOf(echo.unary({ text: end.text }));
    expect(Code[error.code]).toBe("Unavailable");
    expect(error.rawMessage).toMatch(/^plugin echo failed \(stage: running\): connection to worker:echo lost/);
    expect(error.cause).toBeInstanceOf(LaunchError);
    const exit = { code: end.code, signal: null, how: "exited" };
    expect(error.cause).toMatchObject({ exit });
    expect(await plugin.exited).toEqual(exit);
    expect(plugin.stderrTail().join("\n")).toMatch(end.tail);
    const stderr = logs.all.filter((record) => record.stream === "stderr").map(({ line }) => line);
    expect(stderr.join("\n")).toMatch(end.tail);
    expect(Code[(await stream).code]).toBe("Unavailable");
    expect(Code[(await errorOf(echo.unary({}))).code]).toBe("Unavailable");
  });

  it("loses nothing of what it had written before", async () => {
    await using launched = await launchEcho();
    await errorOf(launched.echo.unary({ text: "write" }));
    await launched.plugin.exited;
    const lines = launched.logs.all.filter(({ stream }) => stream === "stdout").map(({ line }) => line);
    expect(lines).toHaveLength(5_001);
    expect(lines.at(-1)).toBe("line 4999");
    expect(launched.plugin.stderrTail()).toEqual(["last words"]);
  });
});

describe.each(["loop", "wait"])("a thread that is stuck in a %s", { timeout: 60_000 }, (how) => {
  const sign = { loop: "looping", wait: "waiting" }[how];

  it("leaves the deadlines of its calls in force, and ends when the grace of its stop is over", async () => {
    await using launched = await launchEcho();
    const { plugin, echo, logs } = launched;
    const stuck = errorOf(echo.unary({ text: how }));
    await logs.find(({ line }) => line === sign);
    expect(Code[(await errorOf(echo.unary({}, { timeoutMs: 50 }))).code]).toBe("DeadlineExceeded");
    const report = await plugin.stop({ graceMs: 100 });
    expect(report).toEqual({ code: 1, signal: null, how: "terminated" });
    expect(Code[(await stuck).code]).toBe("Unavailable");
    expect((await stuck).rawMessage).toMatch(new RegExp(`it was terminated; last lines of its stderr:\\n {2}${sign}`));
  });

  it("ends at once when it is killed, which cuts its stop short", async () => {
    await using launched = await launchEcho();
    const { plugin, echo, logs } = launched;
    const stuck = errorOf(echo.unary({ text: how }));
    await logs.find(({ line }) => line === sign);
    const stopped = plugin.stop({ graceMs: 600_000 });
    expect(await plugin.kill()).toEqual(await stopped);
    expect(Code[(await stuck).code]).toBe("Unavailable");
  });
});

describe("a launch that fails", { timeout: 60_000 }, () => {
  const cases: { what: string; launch(): Promise<unknown>; code: keyof typeof Code; message: RegExp; exit?: number }[] =
    [
      {
        what: "an error at the start",
        launch: () => launchWorker("worker-fails-at-start.mjs"),
        code: "Unavailable",
        message:
          /\(stage: ready\): it ended before it was ready; it exited with code 1; .*\n {2}reading the config.*\n.*Error: no database: giving up/s,
        exit: 1,
      },
      {
        what: "an exit at the start",
        launch: () => launchWorker("exit-before-ready.mjs"),
        code: "Unavailable",
        message: /it ended before it was ready; it exited with code 0/,
        exit: 0,
      },
      {
        what: "a missing entry",
        launch: () => launchWorker("no-such-file.mjs"),
        code: "FailedPrecondition",
        message: /\(stage: spawn\): entry .*no-such-file\.mjs not found/,
      },
      {
        what: "a flag that a thread cannot have",
        launch: () => launchWorker("worker-plugin.ts", { nodeArgs: ["--title=x"] }),
        code: "FailedPrecondition",
        message: /\(stage: spawn\): .*--title/,
      },
      {
        what: "a host of another version",
        launch: () => launchWorker("worker-other-version.mjs"),
        code: "Unavailable",
        message: /the host speaks version 99 of the protocol for worker threads, and this plugin version 1/,
        exit: 1,
      },
    ];

  it.each(cases)("$what: tells stage, reason and last words", async ({ launch, code, message, exit }) => {
    const { error, cause } = await failureOf(launch());
    expect(Code[error.code]).toBe(code);
    expect(error.rawMessage).toMatch(message);
    expect(cause).toMatchObject({ plugin: "p" });
    expect(cause.exit?.code).toBe(exit);
  });

  it.each([
    { name: "worker-never-ready.mjs", line: "still waiting for something" },
    { name: "worker-stuck-at-start.mjs", line: "stuck" },
  ])("$name: gives up after readyTimeoutMs, and nothing is left", async ({ name, line }) => {
    const clock = new FakeClock();
    const written = Promise.withResolvers<void>();
    const launch = failureOf(launchWorker(name, {}, { clock, readyTimeoutMs: 5_000, onLog: () => written.resolve() }));
    await written.promise;
    await clock.advance(5_000);
    const { error, cause } = await launch;
    expect(Code[error.code]).toBe("DeadlineExceeded");
    expect(error.rawMessage).toMatch(/not ready within 5000 ms: it sent no ready message/);
    expect(cause.stderrTail).toEqual([line]);
    expect(clock.pending).toBe(0);
  });

  it("rejects with the caller's reason when it is given up, before and while it gets ready", async () => {
    const reason = new Error("changed my mind");
    await expect(launchWorker("worker-plugin.ts", {}, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const giveUp = new AbortController();
    const launch = launchWorker(
      "worker-never-ready.mjs",
      {},
      { signal: giveUp.signal, onLog: () => giveUp.abort(reason) },
    );
    await expect(launch).rejects.toBe(reason);
  });
});

it("a plugin that posts nonsense is terminated, and its calls say so", { timeout: 60_000 }, async () => {
  await using running = await launchWorker("worker-bad-frames.mjs");
  const calls = running.direct?.open({});
  const error = await errorOf(createClient(EchoService, transportOf(calls)).unary({}));
  expect(Code[error.code]).toBe("Unavailable");
  expect(error.rawMessage).toMatch(/broke the protocol/);
  expect(await running.exited).toEqual({ code: 1, signal: null, how: "terminated" });
  await calls?.close();
});

it("a thread that cannot be terminated, as it is in the middle of a system call, is reported after 10 s", {
  timeout: 60_000,
}, async () => {
  const path = join(temporary.path, "fifo");
  await run("mkfifo", [path]);
  const clock = new FakeClock();
  const running = await launchWorker("worker-plugin.ts", { env: { FIFO: path } }, { clock });
  const calls = running.direct?.open({ clock });
  const call = errorOf(createClient(EchoService, transportOf(calls)).unary({ text: "read" }));
  const writer = await open(path, "w"); // as soon as the plugin reads, for which it needs no JavaScript any more
  const killed = errorOf(running.kill());
  await clock.advance(10_000);
  const error = await killed;
  expect(Code[error.code]).toBe("DeadlineExceeded");
  expect(error.rawMessage).toMatch(/plugin p failed \(stage: stop\): its thread is still there 10000 ms after/);
  await writer.close(); // now the read returns
  expect(await running.exited).toEqual({ code: 1, signal: null, how: "terminated" });
  expect(Code[(await call).code]).toBe("Unavailable");
  await calls?.close();
});

it("a host that has stopped its workers has nothing left that keeps it alive", { timeout: 60_000 }, async () => {
  const { stdout } = await run(process.execPath, [fixture("worker-host.ts")]);
  expect(stdout).toBe("called asked\n");
});

function transportOf(calls: { transport: Parameters<typeof createClient>[1] } | undefined) {
  if (calls === undefined) throw new Error("it has no port");
  return calls.transport;
}

async function* forEver(): AsyncGenerator<{ text: string }, void, void> {
  yield { text: "open" };
  await new Promise(() => {});
}
