import { execFile } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { promisify } from "node:util";

/** Named pipes for stdout and stderr: a process that writes to them can outlive who reads them. */
export interface OutputPipes {
  readonly stdout: Readable;
  readonly stderr: Readable;
}

/** Paths of a plugin's pipes, stdout first. */
export function outputPaths(directory: string): readonly [string, string] {
  return [join(directory, "stdout"), join(directory, "stderr")];
}

/** @throws {Error} of the system, such as where there is no mkfifo. */
export async function makeOutputPipes(directory: string): Promise<void> {
  await promisify(execFile)("mkfifo", ["-m", "600", ...outputPaths(directory)]);
}

/** Never waits for a writer: without one the streams end. @throws {Error} of the system. */
export function readOutputPipes(directory: string): OutputPipes {
  const [stdout, stderr] = openBoth(directory, constants.O_RDONLY | constants.O_NONBLOCK);
  const reader = (fd: number) => new Socket({ fd, readable: true, writable: false });
  return { stdout: reader(stdout), stderr: reader(stderr) };
}

/** For the child that is to write; somebody has to read already. @throws {Error} of the system. */
export function openOutputWriters(directory: string): readonly [number, number] {
  return openBoth(directory, constants.O_WRONLY);
}

function openBoth(directory: string, flags: number): [number, number] {
  const [first, second] = outputPaths(directory);
  const stdout = openSync(first, flags);
  try {
    return [stdout, openSync(second, flags)];
  } catch (error) {
    closeSync(stdout);
    throw error;
  }
}
