import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import type { LaunchStrategy } from "../src/launch/launch-strategy.ts";
import { nodeStrategy } from "../src/launch/process/node-strategy.ts";
import { processStrategy } from "../src/launch/process/process-strategy.ts";
import { failureOf } from "./fixtures/launch-failure.ts";
import { fixture, launchBy, launchFixture } from "./fixtures/launch-fixture.ts";
import { useTemporaryDirectory } from "./fixtures/temporary-directory.ts";
import { createWitness } from "./fixtures/witness.ts";

const temporary = useTemporaryDirectory();

describe("a launch that fails", { timeout: 60_000 }, () => {
  const cases: {
    what: string;
    strategy: () => LaunchStrategy;
    code: Code;
    stage: string;
    message: RegExp;
    stderrTail: string[];
    exitCode: number | undefined;
  }[] = [
    {
      what: "crash at start",
      strategy: () => nodeStrategy({ entry: fixture("crash-at-start.mjs") }),
      code: Code.Unavailable,
      stage: "ready",
      message:
        /plugin p failed \(stage: ready\): it ended before it was ready; it exited with code 3.*\n {2}reading.*\n {2}no database: giving up$/,
      stderrTail: ["reading the configuration", "no database: giving up"],
      exitCode: 3,
    },
    {
      what: "exit before ready",
      strategy: () => nodeStrategy({ entry: fixture("exit-before-ready.mjs") }),
      code: Code.Unavailable,
      stage: "ready",
      message: /it ended before it was ready; it exited with code 0/,
      stderrTail: ["nothing to do"],
      exitCode: 0,
    },
    {
      what: "missing binary",
      strategy: () => processStrategy({ command: "/no/such/program" }),
      code: Code.FailedPrecondition,
      stage: "spawn",
      message: /program \/no\/such\/program not found/,
      stderrTail: [],
      exitCode: undefined,
    },
    {
      what: "missing entry",
      strategy: () => nodeStrategy({ entry: "/no/such/entry.js" }),
      code: Code.FailedPrecondition,
      stage: "spawn",
      message: /entry \/no\/such\/entry.js not found/,
      stderrTail: [],
      exitCode: undefined,
    },
    {
      what: "missing working directory",
      strategy: () => processStrategy({ command: process.execPath, cwd: "/no/such/folder" }),
      code: Code.FailedPrecondition,
      stage: "spawn",
      message: /working directory \/no\/such\/folder not found/,
      stderrTail: [],
      exitCode: undefined,
    },
    {
      what: "not executable",
      strategy: () => processStrategy({ command: fixture("not-executable.sh") }),
      code: Code.FailedPrecondition,
      stage: "spawn",
      message: /not-executable\.sh is not executable/,
      stderrTail: [],
      exitCode: undefined,
    },
    {
      what: "wrong checksum",
      strategy: () =>
        nodeStrategy({
          entry: fixture("ready-plugin.mjs"),
          cwd: fixture("."),
          checksum: { "ready-plugin.mjs": "0".repeat(64) },
        }),
      code: Code.FailedPrecondition,
      stage: "verify",
      message: /sha256 of ready-plugin\.mjs is [0-9a-f]{64}, expected 0{64}/,
      stderrTail: [],
      exitCode: undefined,
    },
    {
      what: "checksum of a missing file",
      strategy: () =>
        nodeStrategy({ entry: fixture("ready-plugin.mjs"), checksum: { "/no/such/file": "0".repeat(64) } }),
      code: Code.FailedPrecondition,
      stage: "verify",
      message: /\/no\/such\/file/,
      stderrTail: [],
      exitCode: undefined,
    },
  ];

  it.each(cases)(
    "$what: tells stage, reason and stderr",
    async ({ strategy, code, stage, message, stderrTail, exitCode }) => {
      const { error, cause } = await failureOf(launchBy(strategy(), { plugin: "p" }));
      expect(Code[error.code]).toBe(Code[code]);
      expect(error.rawMessage).toMatch(message);
      expect(cause).toMatchObject({ plugin: "p", stage, stderrTail });
      expect(cause.exit?.code).toBe(exitCode);
      expect(await temporary.socketDirectories()).toEqual([]);
    },
  );

  it("never ready: gives up after readyTimeoutMs, and nothing is left", async () => {
    await using witness = await createWitness();
    const clock = new FakeClock();
    const failure = failureOf(
      launchFixture(
        "never-ready.mjs",
        { env: { WITNESS: witness.path }, ready: "any" },
        { clock, readyTimeoutMs: 5_000 },
      ),
    );
    await witness.arrived("plugin");
    await clock.advance(5_000);
    const { error, cause } = await failure;
    expect(error.code).toBe(Code.DeadlineExceeded);
    expect(error.rawMessage).toMatch(
      /stage: ready\): not ready within 5000 ms: it printed no ready line and accepted no connection on port \d+/,
    );
    expect(cause.stderrTail).toEqual(["still waiting for something"]);
    await witness.left("plugin");
    expect(clock.pending).toBe(0);
    expect(await temporary.socketDirectories()).toEqual([]);
  });

  it.each(["unix:/tmp/else.sock", "http://example.com:80", "http://127.0.0.1:80@example.com", "http://127.0.0.1:0"])(
    "does not believe the endpoint %s, and says so in the end",
    async (endpoint) => {
      await using witness = await createWitness();
      const clock = new FakeClock();
      const failure = failureOf(
        launchFixture("wrong-endpoint.mjs", { args: [endpoint], env: { WITNESS: witness.path } }, { clock }),
      );
      await witness.arrived("plugin");
      await clock.advance(30_000);
      const { error } = await failure;
      expect(error.rawMessage).toContain(`it announced "${endpoint}", which is neither`);
    },
  );

  it("rejects with the caller's reason when it is given up before, and starts nothing", async () => {
    const signal = AbortSignal.abort(new Error("changed my mind"));
    await expect(launchFixture("ready-plugin.mjs", {}, { signal })).rejects.toThrow("changed my mind");
    expect(await temporary.socketDirectories()).toEqual([]);
  });

  it("rejects with the caller's reason when it is given up while it starts", async () => {
    const giveUp = new AbortController();
    const launch = launchFixture("ready-plugin.mjs", {}, { signal: giveUp.signal });
    giveUp.abort(new Error("changed my mind"));
    await expect(launch).rejects.toThrow("changed my mind");
    expect(await temporary.socketDirectories()).toEqual([]);
  });

  it("rejects with the caller's reason when it is given up while it gets ready, and ends the process", async () => {
    await using witness = await createWitness();
    const giveUp = new AbortController();
    const launch = launchFixture("never-ready.mjs", { env: { WITNESS: witness.path } }, { signal: giveUp.signal });
    const outcome = expect(launch).rejects.toThrow("changed my mind");
    await witness.arrived("plugin");
    giveUp.abort(new Error("changed my mind"));
    await outcome;
    await witness.left("plugin");
    expect(await temporary.socketDirectories()).toEqual([]);
  });

  it("refuses a socket path that is too long for the system", async () => {
    const deep = join(temporary.path, "d".repeat(90));
    await mkdir(deep);
    process.env.TMPDIR = deep;
    const { error } = await failureOf(launchFixture("ready-plugin.mjs"));
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(error.rawMessage).toContain("set TMPDIR to a shorter one");
  });
});
