import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { systemClock } from "@cpg/resilience";
import { type ChildLines, childLines } from "./child-lines.ts";

export type ServiceName = "host" | "logger" | "storage" | "api";

/** One service of this example in a process of its own. It does not outlive this one, unless this one is killed. */
export interface ServiceProcess {
  readonly name: ServiceName;
  /** Where it listens. */
  readonly endpoint: string;
  readonly lines: ChildLines;
  /** Asks it to end, and makes it end after a grace. */
  stop(): Promise<void>;
  kill(): Promise<void>;
}

export interface StartOptions {
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Hears of each line that it writes. */
  readonly onLine?: ((line: string) => void) | undefined;
}

const graceMs = 10_000;

/** Starts a service on a free port of loopback, unless PORT says another; resolves when it is ready. */
export async function startService(
  name: ServiceName,
  { environment, onLine }: StartOptions = {},
): Promise<ServiceProcess> {
  const entry = fileURLToPath(new URL(`../${name}/src/main.ts`, import.meta.url));
  let endpoint = "";
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", entry], {
    env: { ...inherited(), PORT: "0", ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const leaveNoOrphan = (): void => void child.kill("SIGKILL");
  process.once("exit", leaveNoOrphan);
  child.once("exit", () => process.off("exit", leaveNoOrphan));
  const lines = childLines(name, child, (line) => {
    endpoint ||= / ready at ([^\s,]+)/.exec(line)?.[1] ?? "";
    onLine?.(line);
  });
  try {
    await lines.next(/ ready at /);
  } catch (reason) {
    await end(child, "SIGKILL");
    throw reason;
  }
  return { name, endpoint, lines, stop: () => end(child, "SIGTERM"), kill: () => end(child, "SIGKILL") };
}

/** What programs need to run, and nothing that would lead them to another host. */
function inherited(): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env;
  return { PATH, HOME, TMPDIR };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  const ended = new AbortController();
  const insist = systemClock.sleep(graceMs, ended.signal).then(
    () => child.kill("SIGKILL"),
    () => {}, // in time
  );
  child.kill(signal);
  await exited;
  ended.abort("in time");
  await insist;
}
