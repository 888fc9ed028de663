import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import type { LaunchRequest } from "../src/launch/launch-strategy.ts";
import { nodeStrategy } from "../src/launch/process/node-strategy.ts";
import { processStart } from "../src/launch/process/reattach/process-start.ts";
import { fixture, type LaunchedFixture, launchBy } from "./fixtures/launch-fixture.ts";
import { createWitness, type Witness } from "./fixtures/witness.ts";
import { echoClient } from "./support/started-server.ts";

interface Records extends AsyncDisposable {
  readonly directory: string;
  /** Files in it. */
  files(): Promise<string[]>;
}

async function createRecords(): Promise<Records> {
  const directory = await mkdtemp(join(tmpdir(), "records-"));
  return {
    directory,
    files: () => readdir(directory),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

/** The first host, in a process of its own. */
async function startHost(witness: Witness, { directory }: Records, withinMs = 60_000) {
  const host = spawn(process.execPath, [fixture("keeping-host.ts"), directory, String(withinMs)], {
    env: { PATH: process.env.PATH, WITNESS: witness.path },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: host.stdout })[Symbol.asyncIterator]();
  const nextLine = async (): Promise<string> => (await lines.next()).value ?? "";
  const { pid, endpoint } = JSON.parse(await nextLine());
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const exited = once(host, "exit");
    host.kill(signal);
    await exited;
  };
  return { host, pid: Number(pid), endpoint: String(endpoint), nextLine, end };
}

interface NextOptions {
  readonly args?: readonly string[];
  readonly request?: Partial<LaunchRequest>;
}

/** This process as the next host. */
async function launchNext(
  witness: Witness,
  { directory }: Records,
  { args, request }: NextOptions = {},
): Promise<LaunchedFixture> {
  process.env.WITNESS = witness.path; // as the first host inherits it
  const strategy = nodeStrategy({
    entry: new URL("./fixtures/kept-plugin.ts", import.meta.url),
    inheritEnv: ["PATH", "WITNESS"],
    args,
    reattach: { directory },
  });
  return await launchBy(strategy, { plugin: "kept", ...request });
}

async function ask(endpoint: string, text: string): Promise<string> {
  await using client = echoClient(endpoint);
  const echo = await client.dispense("echo");
  return (await echo.unary({ text }, { timeoutMs: 20_000 })).text;
}

describe("a plugin whose strategy has reattach", { timeout: 60_000 }, () => {
  it("outlives its host, and the next one goes on with it", async () => {
    await using records = await createRecords();
    await using witness = await createWitness();
    const first = await startHost(witness, records);
    await first.end("SIGKILL");

    const next = await launchNext(witness, records);
    expect(next).toMatchObject({ pid: first.pid, endpoint: first.endpoint, readiness: "reattached" });
    expect(await ask(next.endpoint, "pid")).toBe(String(first.pid));
    expect(await records.files()).toHaveLength(1);

    expect(await next.stop({ graceMs: 0 })).toEqual({ code: null, signal: null, how: "sigterm" });
    await witness.left("plugin");
    expect(await records.files()).toEqual([]);
    expect(existsSync(dirname(first.endpoint.slice("unix:".length)))).toBe(false);
  });

  it("can write as much as it likes while it has no host, and the next one reads on", async () => {
    await using records = await createRecords();
    await using witness = await createWitness();
    const first = await startHost(witness, records);
    await first.end("SIGKILL");
    await ask(first.endpoint, "write 500"); // pipes hold some 64 KiB
    await using next = await launchNext(witness, records);
    await ask(next.endpoint, "write 2");
    const exit = await next.stop({ graceMs: 0 });
    expect(exit.how).toBe("sigterm");
    expect(next.logs.filter(({ line }) => line.length === 1023).length).toBeGreaterThanOrEqual(2);
  });

  it("goes with nobody to take it over in time", async () => {
    await using records = await createRecords();
    await using witness = await createWitness();
    const first = await startHost(witness, records, 200);
    await first.end("SIGKILL");
    await witness.left("plugin");
    await using next = await launchNext(witness, records);
    expect(next.readiness).toBe("ready-line");
    expect(next.pid).not.toBe(first.pid);
  });

  it("goes to one host only", async () => {
    await using records = await createRecords();
    await using witness = await createWitness();
    const first = await startHost(witness, records);
    await first.end("SIGKILL");
    const hosts = await Promise.all([1, 2, 3].map(() => launchNext(witness, records)));
    try {
      expect(hosts.map(({ readiness }) => readiness).sort()).toEqual(["ready-line", "ready-line", "reattached"]);
      expect(new Set(hosts.map(({ pid }) => pid)).size).toBe(3);
    } finally {
      await Promise.all(hosts.map((host) => host.kill()));
    }
  });

  it("is not taken from a host that lives", async () => {
    await using records = await createRecords();
    await using witness = await createWitness();
    const first = await startHost(witness, records);
    await using second = await launchNext(witness, records);
    expect(second.pid).not.toBe(first.pid);
    expect(await ask(first.endpoint, "pid")).toBe(String(first.pid));
    await second.kill();
    await first.end("SIGUSR2");
    await using third = await launchNext(witness, records);
    expect(third.pid).toBe(first.pid);
  });

  it("is left to the next host by one that says so, also within one process", async () => {
    await using records = await createRecords();
    await using witness = await createWitness();
    const first = await startHost(witness, records);
    await first.end("SIGUSR2");
    expect(await first.nextLine()).toBe("detached");
    const second = await launchNext(witness, records);
    expect(await second.stop({ graceMs: 0, leave: true })).toEqual({ code: null, signal: null, how: "detached" });
    expect((await second.kill()).how).toBe("detached"); // it is this host's no more
    await using third = await launchNext(witness, records);
    expect([second.pid, third.pid]).toEqual([first.pid, first.pid]);
    expect(await ask(third.endpoint, "pid")).toBe(String(first.pid));
  });

  it("goes with a host that was about to end it, or all of its plugins", async () => {
    await using records = await createRecords();
    await using witness = await createWitness();
    const first = await startHost(witness, records);
    await first.end("SIGKILL");
    const closing = new AbortController();
    await using next = await launchNext(witness, records, { request: { hostClosing: closing.signal } });
    expect(await records.files()).toHaveLength(1);
    closing.abort("the host closes");
    expect(await records.files()).toEqual([]); // before it has been asked to end
    expect(await ask(next.endpoint, "pid")).toBe(String(first.pid));
    expect((await next.stop({ graceMs: 0, leave: true })).how).toBe("sigterm");
    await witness.left("plugin");

    await using other = await launchNext(witness, records);
    expect(await records.files()).toHaveLength(1);
    const asked = Promise.withResolvers<void>();
    const ended = other.stop({ graceMs: 60_000, askToStop: async () => asked.resolve() });
    await asked.promise;
    expect(await records.files()).toEqual([]);
    await other.kill();
    await ended;
  });

  it("that cannot be left is ended as any other, and a kill comes before it is left", async () => {
    await using witness = await createWitness();
    const lost = await createRecords();
    await using first = await launchNext(witness, lost);
    await lost[Symbol.asyncDispose]();
    expect((await first.stop({ graceMs: 0, leave: true })).how).toBe("sigterm");

    await using records = await createRecords();
    await using second = await launchNext(witness, records);
    const left = second.stop({ graceMs: 0, leave: true });
    expect((await second.kill()).how).toBe("sigkill");
    expect((await left).how).toBe("sigkill");
    expect(await records.files()).toEqual([]);
  });

  it("ends, and is started anew, when it is to be started in another way", async () => {
    await using records = await createRecords();
    await using witness = await createWitness();
    const first = await startHost(witness, records);
    await first.end("SIGKILL");
    await using next = await launchNext(witness, records, { args: ["--other"] });
    expect(next.readiness).toBe("ready-line");
    await witness.left("plugin");
    expect(await records.files()).toHaveLength(1);
  });

  it("ends when it does not prove that it is the one that was launched", async () => {
    await using records = await createRecords();
    await using witness = await createWitness();
    const first = await startHost(witness, records);
    await first.end("SIGKILL");
    const [name = ""] = await records.files();
    const path = join(records.directory, name);
    const record = JSON.parse(await readFile(path, "utf8"));
    await writeFile(path, JSON.stringify({ ...record, controlToken: "o".repeat(43) }));
    await using next = await launchNext(witness, records);
    expect(next.readiness).toBe("ready-line");
    await witness.left("plugin");
  });

  it("is noticed when it ends later, although it is no child of its host", async () => {
    await using records = await createRecords();
    await using witness = await createWitness();
    const first = await startHost(witness, records);
    await first.end("SIGKILL");
    await using next = await launchNext(witness, records);
    process.kill(first.pid, "SIGKILL");
    expect(await next.exited).toEqual({ code: null, signal: null, how: "exited" });
    expect(await records.files()).toEqual([]);
  });

  it("goes with the next host, should that be killed, too, after its time", async () => {
    await using records = await createRecords();
    await using witness = await createWitness();
    const first = await startHost(witness, records);
    await first.end("SIGKILL");
    const second = await startHost(witness, records, 200);
    expect(second.pid).toBe(first.pid);
    await second.end("SIGKILL");
    await witness.left("plugin");
  });
});

describe("a number that belongs to another process by now", { timeout: 60_000 }, () => {
  it("is let alone", async () => {
    await using records = await createRecords();
    await using witness = await createWitness();
    const first = await startHost(witness, records);
    const [name = ""] = await records.files();
    const path = join(records.directory, name);
    const record = JSON.parse(await readFile(path, "utf8"));
    await first.end("SIGKILL");
    const env = { PATH: process.env.PATH };
    const bystander = spawn(process.execPath, [fixture("never-ready.mjs")], { detached: true, stdio: "ignore", env });
    try {
      await writeFile(path, JSON.stringify({ ...record, pid: bystander.pid }));
      await using next = await launchNext(witness, records);
      expect(next.readiness).toBe("ready-line");
      expect([bystander.exitCode, bystander.signalCode]).toEqual([null, null]);
      expect(await processStart(Number(bystander.pid))).toEqual(expect.any(String));
      expect(await records.files()).toHaveLength(1);
    } finally {
      bystander.kill("SIGKILL");
      process.kill(first.pid, "SIGKILL"); // its guardian found its record gone
    }
  });
});

describe("the directory of the records", { timeout: 60_000 }, () => {
  it("is refused when others can enter it", async () => {
    await using records = await createRecords();
    await using witness = await createWitness();
    await chmod(records.directory, 0o750);
    await expect(launchNext(witness, records)).rejects.toMatchObject({ code: Code.FailedPrecondition });
    await expect(launchNext(witness, records)).rejects.toThrow(/reattach\.directory .* mode 0700/);
  });

  it("may hold rubbish", async () => {
    await using records = await createRecords();
    await using witness = await createWitness();
    const first = await startHost(witness, records);
    await first.end("SIGKILL");
    const [name = ""] = await records.files();
    for (const [index, text] of ["", "{", "null", '{"version":2}'].entries()) {
      await writeFile(join(records.directory, name.replace(/-/, `-${index}`)), text);
    }
    await using next = await launchNext(witness, records);
    expect(next.pid).toBe(first.pid);
  });

  it.each([
    { reattach: { directory: "relative" }, message: /reattach\.directory must be an absolute path/ },
    { reattach: { directory: "/a", withinMs: 0 }, message: /reattach\.withinMs must be greater than 0/ },
    { reattach: { directory: "/a", withinMs: 3_600_001 }, message: /reattach\.withinMs .* at most 3600000/ },
    { reattach: { directory: "/a" }, transport: "tcp" as const, message: /reattach needs transport "unix"/ },
  ])("$reattach: $message", ({ message, ...options }) => {
    expect(() => nodeStrategy({ entry: "x.js", ...options })).toThrow(message);
  });
});
