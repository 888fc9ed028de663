import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { createGuardian, hostGuardian } from "../src/launch/process/guardian.ts";
import { fixture, get, launchFixture } from "./fixtures/launch-fixture.ts";
import { createWitness, type Witness } from "./fixtures/witness.ts";

const guardianProgram = fileURLToPath(new URL("../src/launch/process/guardian-main.ts", import.meta.url));

interface Host {
  readonly process: ChildProcessByStdio<null, Readable, null>;
  /** The next line it writes, or has written already. */
  nextLine(): Promise<string | undefined>;
}

function spawnHost(witness: Witness, mode: string): Host {
  const child = spawn(process.execPath, [fixture("host.ts"), mode], {
    env: { PATH: process.env.PATH, WITNESS: witness.path },
    stdio: ["ignore", "pipe", "inherit"],
    detached: true, // as in a terminal: a foreground group of its own
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return { process: child, nextLine: async () => (await lines.next()).value };
}

/** A host in a process of its own, with one plugin that has a child. Both have arrived when this resolves. */
async function startHost(witness: Witness, mode = ""): Promise<Host> {
  const host = spawnHost(witness, mode);
  await Promise.all([host.nextLine(), witness.arrived("plugin"), witness.arrived("grandchild")]);
  return host;
}

describe("when the host dies", { timeout: 30_000 }, () => {
  it.each([
    { how: "killed", signal: "SIGKILL" },
    { how: "terminated", signal: "SIGTERM" },
    { how: "interrupted", signal: "SIGINT" },
    { how: "hung up", signal: "SIGHUP" },
    { how: "crashing", signal: "SIGSEGV" },
    { how: "exiting without a stop", signal: "SIGUSR2" },
  ] as const)("$how ($signal), the whole group of its plugin ends", async ({ signal }) => {
    await using witness = await createWitness();
    const host = await startHost(witness);
    host.process.kill(signal);
    await Promise.all([witness.left("plugin"), witness.left("grandchild"), once(host.process, "exit")]);
  });

  it.each(["SIGINT", "SIGKILL"] as const)("by %s to the foreground group of its terminal, the same", async (signal) => {
    await using witness = await createWitness();
    const host = await startHost(witness);
    process.kill(-Number(host.process.pid), signal);
    await Promise.all([witness.left("plugin"), witness.left("grandchild")]);
  });
});

describe("the guardian", { timeout: 30_000 }, () => {
  it("is one process for all launches, and started again when it dies", async () => {
    await using witness = await createWitness();
    await using first = await launchFixture("ready-plugin.mjs", { env: { WITNESS: witness.path } });
    const guardian = hostGuardian();
    const before = guardian.pid;
    await using second = await launchFixture("ready-plugin.mjs");
    expect(guardian.pid).toBe(before);
    const { replaced } = guardian;
    process.kill(Number(before), "SIGKILL");
    await replaced;
    expect(guardian.pid).toEqual(expect.any(Number));
    expect(guardian.pid).not.toBe(before);
    expect(await Promise.all([get(first.endpoint), get(second.endpoint)])).toHaveLength(2);
  });

  it("knows all groups again after it was started again", async () => {
    await using witness = await createWitness();
    const host = await startHost(witness, "kill-guardian");
    expect(await host.nextLine()).toBe("guarded again");
    host.process.kill("SIGKILL");
    await Promise.all([witness.left("plugin"), witness.left("grandchild")]);
  });

  it("survives what is meant for its host, ends what it was told of and not what has ended, then itself", async () => {
    const [left, kept] = await Promise.all([1, 2].map(() => mkdtemp(join(tmpdir(), "gu\u00e4rded-"))));
    await using witness = await createWitness();
    const env = { WITNESS: witness.path };
    const bystander = spawn(process.execPath, [fixture("never-ready.mjs")], { detached: true, stdio: "ignore", env });
    const guarded = spawn(process.execPath, [fixture("grandchild.mjs")], { detached: true, stdio: "ignore", env });
    const guardian = spawn(process.execPath, [guardianProgram], { detached: true, stdio: ["pipe", "pipe", "inherit"] });
    try {
      await Promise.all([once(guardian.stdout, "data"), witness.arrived("plugin"), witness.arrived("grandchild")]);
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const) guardian.kill(signal);
      guardian.stdin.write(`+${bystander.pid}\n+${guarded.pid}\n-${bystander.pid}\nnonsense\n+\n+x\n`);
      guardian.stdin.write(`d${left}\nd${kept}\nx${kept}\n`);
      guardian.stdin.end();
      expect(await once(guardian, "exit")).toEqual([0, null]);
      await witness.left("grandchild"); // by SIGKILL: it ignores SIGTERM
      expect(bystander.kill(0)).toBe(true);
      expect(bystander.signalCode).toBeNull();
      expect([existsSync(String(left)), existsSync(String(kept))]).toEqual([false, true]);
    } finally {
      await rm(String(kept), { recursive: true });
      for (const child of [bystander, guarded, guardian]) child.kill("SIGKILL");
    }
  });

  it.skipIf(process.platform !== "linux")("finds a process whose number its host did not live to tell", async () => {
    await using witness = await createWitness();
    const mark = `m${process.pid}`; // another run of this test may look for its own
    const env = { WITNESS: witness.path, MARK: mark };
    const guardian = spawn(process.execPath, [guardianProgram], { detached: true, stdio: ["pipe", "pipe", "inherit"] });
    const started = spawn(process.execPath, [fixture("never-ready.mjs")], { detached: true, stdio: "ignore", env });
    try {
      await Promise.all([once(guardian.stdout, "data"), witness.arrived("plugin")]);
      const exited = once(guardian, "exit"); // which may be noticed before the plugin's is
      guardian.stdin.end(`?MARK=${mark}\n`);
      await witness.left("plugin");
      expect(await exited).toEqual([0, null]);
    } finally {
      for (const child of [started, guardian]) child.kill("SIGKILL");
    }
  });

  it("lets its host end by itself once its plugins have", async () => {
    await using witness = await createWitness();
    const host = spawnHost(witness, "stop");
    expect(await once(host.process, "exit")).toEqual([0, null]);
  });

  it("that cannot be started for want of file descriptors is started by the next launch", async () => {
    const host = spawn(
      "sh",
      ["-c", 'ulimit -n 64 && exec "$0" "$1"', process.execPath, fixture("host-without-files.ts")],
      {
        env: { PATH: process.env.PATH },
        stdio: ["ignore", "pipe", "ignore"],
      },
    );
    const [written, exit] = await Promise.all([text(host.stdout), once(host, "exit")]);
    const [first, failure, ...rest] = written.trimEnd().split("\n");
    expect([first, ...rest]).toEqual(["no file left", "launched"]);
    expect(failure).toMatch(/^ConnectError: \[unavailable\] plugin p failed \(stage: spawn\): the guardian .*EMFILE$/);
    expect(exit).toEqual([0, null]);
  });

  it.each([
    { command: ["/no/such/guardian"] as const, message: /guardian process cannot be started/ },
    {
      command: [process.execPath, "-e", "process.exit(7)"] as const,
      message: /guardian process ended at its start \(code 7\)/,
    },
  ])("that cannot be started is an error of the launch: $message", async ({ command, message }) => {
    const guardian = createGuardian({ command });
    await expect(guardian.ready()).rejects.toThrow(message);
    await expect(guardian.ready()).rejects.toThrow(message);
    expect(guardian.pid).toBeUndefined();
  });
});
