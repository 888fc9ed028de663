import { Readable } from "node:stream";
import { inspect } from "node:util";
import type { Worker } from "node:worker_threads";
import { type ProcessOutput, type ProcessOutputOptions, readProcessOutput } from "../launch/process/process-output.ts";

/** Reads stdout and stderr of a thread as those of a process are read; the error that ends it comes last on stderr. */
export function readThreadOutput(thread: Worker, options: Omit<ProcessOutputOptions, "onReadyLine">): ProcessOutput {
  let lastWords: string | undefined;
  // Node hands the error over, where a process would have written it. Nobody else listens, so it would end the host.
  thread.on("error", (reason: unknown) => {
    lastWords = describe(reason);
  });
  thread.on("messageerror", () => {}); // what it posts beside the port is nothing to us
  const stderr = Readable.from(endingWith(thread.stderr, () => lastWords));
  return readProcessOutput(thread.stdout, stderr, { ...options, onReadyLine: () => false });
}

async function* endingWith(stream: Readable, lastWords: () => string | undefined): AsyncGenerator<Buffer, void, void> {
  yield* stream;
  const words = lastWords();
  if (words !== undefined) yield Buffer.from(`${words}\n`);
}

/** The stack, and what belongs to it, of whatever the plugin threw: its copy, as it may have been anything. */
function describe(reason: unknown): string {
  try {
    return inspect(reason);
  } catch {
    return "an error that cannot be shown";
  }
}
