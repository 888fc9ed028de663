import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync } from "node:fs";
import type { Readable } from "node:stream";
import { makeOutputPipes, openOutputWriters, readOutputPipes } from "./reattach/output-pipes.ts";
import type { ProcessEnd } from "./spawned-process.ts";

export interface SpawnChildOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** A directory for named pipes, for a child that may outlive this process. Undefined: pipes that end with either. */
  readonly pipes: string | undefined;
  /** Called right before it starts. */
  onSpawn(): void;
  /** Told in the same turn in which the child is there. */
  onPid(pid: number): void;
}

export interface SpawnedChild {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly outputs: { readonly stdout: Readable; readonly stderr: Readable };
}

/** Starts a process that leads a group of its own, and reads nothing. @throws {Error} of the system. */
export async function spawnChild(
  command: string,
  args: readonly string[],
  { cwd, env, pipes, onSpawn, onPid }: SpawnChildOptions,
): Promise<SpawnedChild> {
  const how = { cwd, env, detached: true };
  if (pipes === undefined) {
    onSpawn();
    const child = spawn(command, args, { ...how, stdio: ["ignore", "pipe", "pipe"] });
    return { child, pid: await pidOf(child, onPid), outputs: { stdout: child.stdout, stderr: child.stderr } };
  }
  await makeOutputPipes(pipes);
  const outputs = readOutputPipes(pipes);
  try {
    const writers = openOutputWriters(pipes);
    let child: ChildProcess;
    try {
      onSpawn();
      child = spawn(command, args, { ...how, stdio: ["ignore", ...writers] });
    } finally {
      for (const writer of writers) closeSync(writer); // the child has its own
    }
    return { child, pid: await pidOf(child, onPid), outputs };
  } catch (error) {
    for (const output of Object.values(outputs)) output.destroy();
    throw error;
  }
}

async function pidOf(child: ChildProcess, onPid: (pid: number) => void): Promise<number> {
  const { pid } = child;
  if (pid === undefined) throw (await once(child, "error"))[0];
  onPid(pid);
  child.on("error", () => {}); // nothing but a signal that could not be sent
  return pid;
}

/** Resolves when the child has ended. Never rejects. */
export function untilExit(child: ChildProcess): Promise<ProcessEnd> {
  const { exitCode, signalCode } = child;
  if (exitCode !== null || signalCode !== null) return Promise.resolve({ code: exitCode, signal: signalCode });
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
}
