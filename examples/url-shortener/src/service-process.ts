import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { systemClock } from "@cpg/resilience";

export type ServiceName = "host" | "logger" | "storage" | "api";

/** One service of this example in a process of its own. */
export interface ServiceProcess {
  readonly name: ServiceName;
  /** Where it listens. */
  readonly endpoint: string;
  /**
   * The next line that it writes and that fits, from now on or since the last one that was waited for.
   * @throws {Error} when none came within the bound, or the service ended.
   */
  line(pattern: RegExp): Promise<string>;
  /** Asks it to end, and makes it end after the grace. */
  stop(): Promise<void>;
  kill(): Promise<void>;
}

export interface StartOptions {
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Hears of each line that it writes. */
  readonly onLine?: ((name: ServiceName, line: string) => void) | undefined;
}

const waitMs = 30_000;
const graceMs = 10_000;
const keptLines = 1_000;

/** Starts a service on a free port of loopback, unless PORT says another; resolves when it is ready. */
export async function startService(name: ServiceName, options: StartOptions = {}): Promise<ServiceProcess> {
  const entry = fileURLToPath(new URL(`../${name}/src/main.ts`, import.meta.url));
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", entry], {
    env: { ...inherited(), PORT: "0", ...options.environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const lines = followLines(name, child, options.onLine);
  try {
    const ready = await lines.next(/ ready at /);
    const endpoint = /ready at (\S+?),?(?:\s|$)/.exec(ready)?.[1] ?? "";
    return {
      name,
      endpoint,
      line: lines.next,
      stop: () => end(child, exited, "SIGTERM"),
      kill: () => end(child, exited, "SIGKILL"),
    };
  } catch (reason) {
    await end(child, exited, "SIGKILL");
    throw reason;
  }
}

/** What programs need to run, and nothing that would lead them to another host. */
function inherited(): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR, NODE_EXTRA_CA_CERTS } = process.env;
  return { PATH, HOME, TMPDIR, NODE_EXTRA_CA_CERTS };
}

async function end(child: ChildProcess, exited: Promise<unknown>, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const stopTimer = after(graceMs, () => child.kill("SIGKILL"));
  child.kill(signal);
  await exited;
  stopTimer();
}

/** Returns how to stop it. */
function after(ms: number, act: () => void): () => void {
  const stopped = new AbortController();
  systemClock.sleep(ms, stopped.signal).then(act, () => {}); // stopped
  return () => stopped.abort("in time");
}

interface Waiting {
  readonly pattern: RegExp;
  resolve(line: string): void;
  reject(error: Error): void;
}

function followLines(name: ServiceName, child: ChildProcess, onLine: StartOptions["onLine"]) {
  const kept: string[] = [];
  const waiting = new Set<Waiting>();
  if (child.stdout === null) throw new Error("its output is not read");
  createInterface({ input: child.stdout }).on("line", (line) => {
    onLine?.(name, line);
    for (const wait of waiting) {
      if (!wait.pattern.test(line)) continue;
      wait.resolve(line);
      return;
    }
    kept.push(line);
    if (kept.length > keptLines) kept.shift();
  });
  child.once("exit", (code, signal) => {
    for (const { reject } of waiting) reject(new Error(`${name} ended with ${signal ?? code}`));
  });

  const next = async (pattern: RegExp): Promise<string> => {
    const index = kept.findIndex((line) => pattern.test(line));
    const known = kept[index];
    if (known !== undefined) {
      kept.splice(0, index + 1);
      return known;
    }
    kept.length = 0;
    if (child.exitCode !== null) throw new Error(`${name} has ended`);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const wait: Waiting = { pattern, resolve, reject };
    waiting.add(wait);
    const stopTimer = after(waitMs, () => reject(new Error(`${name} wrote no ${pattern} within ${waitMs} ms`)));
    try {
      return await promise;
    } finally {
      stopTimer();
      waiting.delete(wait);
    }
  };
  return { next };
}
