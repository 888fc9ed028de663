import { spawn } from "node:child_process";
import { systemClock } from "@cpg/resilience";

export interface ProgramEnd {
  /** Null when it was ended by a signal or did not start. */
  readonly code: number | null;
  /** What it wrote to stdout and stderr. */
  readonly output: string;
  readonly seconds: number;
}

/** Time for a program to end its own programs before it is killed. */
const stopGraceMs = 5_000;
/** Kept of its output. */
const maxOutputBytes = 4 * 1024 * 1024;

/** Runs a program to its end, or until `timeoutMs` has passed. */
export async function runProgram(command: string, args: readonly string[], timeoutMs: number): Promise<ProgramEnd> {
  const started = systemClock.monotonic();
  // A group of its own, so that what the program started ends with it.
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  let output = "";
  const keep = (chunk: Buffer) => {
    if (output.length < maxOutputBytes) output += chunk.toString();
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const bound = new AbortController();
  const ended = new Promise<number | null>((resolve) => {
    child.once("error", (error) => {
      output += `${error.message}\n`;
      resolve(null);
    });
    child.once("close", resolve);
  });
  const stopGroup = (signal: NodeJS.Signals) => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, signal);
    } catch {
      // nobody is left
    }
  };
  stopAfter(timeoutMs, stopGroup, bound.signal).catch(() => {}); // it ended in time
  const code = await ended;
  bound.abort("it has ended");
  return { code, output, seconds: Math.round((systemClock.monotonic() - started) / 1_000) };
}

async function stopAfter(timeoutMs: number, kill: (signal: NodeJS.Signals) => void, ended: AbortSignal): Promise<void> {
  await systemClock.sleep(timeoutMs, ended);
  kill("SIGTERM");
  await systemClock.sleep(stopGraceMs, ended);
  kill("SIGKILL");
}
