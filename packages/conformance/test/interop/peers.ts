import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const folder = fileURLToPath(new URL("../..", import.meta.url));
const cache = join(folder, "node_modules/.cache/interop");
const giveUpMs = 180_000;

/** Whether a program is on the PATH. */
export function has(command: string, ...args: string[]): boolean {
  return spawnSync(command, args).status === 0;
}

/** Builds the Go programs; Go itself keeps what it compiled before. INTEROP_GO_PEERS names a program to take instead. */
export async function buildGoPeers(): Promise<string> {
  const { INTEROP_GO_PEERS: other } = process.env;
  if (other !== undefined) return other;
  mkdirSync(cache, { recursive: true });
  const binary = join(cache, "go-peers");
  await run("go", ["build", "-o", binary, "."], { cwd: join(folder, "go"), timeout: giveUpMs });
  return binary;
}

/** The interpreter of an environment that has what the Python plugin needs. Made once. */
export async function makePythonEnvironment(): Promise<string> {
  mkdirSync(cache, { recursive: true });
  const python = join(cache, "python/bin/python");
  const requirements = join(folder, "python/requirements.txt");
  if (!has(python, "-c", "import grpc, google.protobuf")) {
    await run("python3", ["-m", "venv", join(cache, "python")], { timeout: giveUpMs });
    await run(python, ["-m", "pip", "install", "-q", "-r", requirements], { timeout: giveUpMs });
  }
  // The messages, as descriptors.
  const proto = join(folder, "../..");
  const image = (input: string, name: string) =>
    run(join(folder, "node_modules/.bin/buf"), ["build", input, "-o", join(cache, name)], { timeout: giveUpMs });
  await image(join(proto, "proto"), "host.binpb");
  await image(join(proto, "examples/kv/proto"), "kv.binpb");
  return python;
}

export interface Peer extends AsyncDisposable {
  /** What it says it listens on. */
  readonly url: string;
  /** Resolves when the process is gone. */
  readonly exited: Promise<unknown>;
  kill(signal: "SIGKILL" | "SIGTERM"): void;
}

/** Starts a program and waits until it says that it listens. */
export async function startPeer(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Peer> {
  const child = spawn(command, args, { env: { ...process.env, PORT: "0", ...env }, stdio: ["pipe", "pipe", "pipe"] });
  const exited = once(child, "exit");
  exited.catch(() => {});
  const url = await listening(child, exited).catch((reason: unknown) => {
    child.kill("SIGKILL");
    throw reason;
  });
  return {
    url,
    exited,
    kill: (signal) => void child.kill(signal),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

async function listening(child: ChildProcess, exited: Promise<unknown>): Promise<string> {
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error("its output is not read");
  let said = "";
  stderr.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4_000);
  });
  const lines = createInterface({ input: stdout });
  const { promise, resolve } = Promise.withResolvers<string>();
  lines.on("line", (line) => {
    const url = /^listens on (\S+)$/.exec(line)?.[1];
    if (url !== undefined) resolve(url);
  });
  const ended = exited.then(() => {
    throw new Error(`it ended before it listened: ${said}`);
  });
  return await Promise.race([promise, ended]);
}

/** Runs a program to its end; its lines. */
export async function linesOf(command: string, args: readonly string[], env: Readonly<Record<string, string>>) {
  const { stdout } = await run(command, [...args], { env: { ...process.env, ...env }, timeout: 30_000 });
  return stdout.trim().split("\n");
}
