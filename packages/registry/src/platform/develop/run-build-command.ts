import { spawn } from "node:child_process";
import { once } from "node:events";
import { signalGroup } from "@cpg/core/extension";
import type { Clock } from "@cpg/resilience";

export interface BuildCommand {
  /** The program and its arguments; no shell reads them. */
  readonly command: readonly string[];
  readonly cwd: string;
  /** Bound on all of it, in ms. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Ends it, with everything that it started in its process group. */
  readonly signal: AbortSignal;
}

/** How much of what a build wrote its error repeats, in characters. */
const keptOutput = 4_000;
/** How long a build may take to end after SIGTERM, in ms. */
const termGraceMs = 2_000;
/** How long the rest of its output is waited for, in ms. */
const outputGraceMs = 1_000;

/**
 * Runs a command to its end. Nothing of its process group is left then.
 * @throws {Error} that repeats the end of what it wrote; the reason of the signal.
 */
export async function runBuildCommand({ command, cwd, timeoutMs, clock, signal }: BuildCommand): Promise<void> {
  signal.throwIfAborted();
  const [program = "", ...args] = command;
  const child = spawn(program, args, { cwd, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  if (child.pid === undefined) {
    // Where the limit of open files was reached it has no streams either.
    const [error] = await once(child, "error");
    throw buildFailed(command, error, "");
  }
  const { pid } = child;
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => {
      output = (output + text).slice(-keptOutput);
    });
  }
  const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  const outputEnded = once(child, "close");
  outputEnded.catch(() => {}); // `exited` tells that it could not be started
  const done = new AbortController();
  let why: unknown;
  const end = (reason: unknown): void => {
    if (why !== undefined) return;
    why = reason;
    signalGroup(pid, "SIGTERM");
    clock.sleep(termGraceMs, done.signal).then(
      () => signalGroup(pid, "SIGKILL"),
      () => {}, // it has ended
    );
  };
  const onAbort = () => end(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  clock.sleep(timeoutMs, done.signal).then(
    () => end(new Error(`it took longer than ${timeoutMs} ms`)),
    () => {}, // it has ended
  );
  try {
    const [code, by] = await exited;
    signalGroup(pid, "SIGKILL");
    // A program that left the group may hold its output open.
    await Promise.race([outputEnded, clock.sleep(outputGraceMs, done.signal)]);
    if (why === undefined && code === 0) return;
    throw why ?? new Error(code === null ? `it was ended by ${by}` : `it exited with code ${code}`);
  } catch (reason) {
    signal.throwIfAborted();
    throw buildFailed(command, reason, output);
  } finally {
    done.abort("it has ended");
    signal.removeEventListener("abort", onAbort);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

function buildFailed(command: readonly string[], reason: unknown, output: string): Error {
  const text = reason instanceof Error ? reason.message : String(reason);
  return new Error(`the build failed: ${command.join(" ")}: ${text}${output && `\n${output.trimEnd()}`}`, {
    cause: reason,
  });
}
