import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A server in a process of its own, which ends with this process at the latest. */
export interface ForkedServer {
  /** Where it can be called. */
  readonly address: string;
  readonly pid: number;
  close(): Promise<void>;
}

const closeGraceMs = 5_000;

/**
 * Runs a program that calls `tellAddress` when it serves.
 * @throws {Error} naming the program, when it ends before that.
 */
export async function forkServer(program: URL, args: readonly string[]): Promise<ForkedServer> {
  const file = fileURLToPath(program);
  const child = fork(file, args, {
    execArgv: ["--disable-warning=ExperimentalWarning"],
    stdio: ["ignore", 2, 2, "ipc"], // stdout is for the report
  });
  const address = await new Promise<string>((resolve, reject) => {
    child.once("message", (message) => resolve(String(message)));
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`${file} ended with ${signal ?? code} before it served`)));
  });
  return { address, pid: child.pid ?? 0, close: () => endChild(child) };
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  const timer = setTimeout(() => child.kill("SIGKILL"), closeGraceMs);
  if (child.connected) child.disconnect();
  await exited;
  clearTimeout(timer);
}
