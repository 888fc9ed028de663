import type { Readable } from "node:stream";
import type { Clock } from "@cpg/resilience";
import { within } from "../../internal/bounded.ts";
import type { LogRecord } from "../launch-strategy.ts";
import type { LineSplitter } from "./line-splitter.ts";
import { createLineTail } from "./line-tail.ts";
import { createLogStream } from "./log-stream.ts";
import { parseReadyLine } from "./ready-line.ts";

export interface ProcessOutputOptions {
  readonly plugin: string;
  readonly maxLineBytes: number;
  readonly maxLinesPerSecond: number;
  readonly clock: Clock;
  onLog(record: LogRecord): void;
  /** Judges an announced endpoint. True: it is the ready line; from then on stdout is log records only. */
  onReadyLine(endpoint: string): boolean;
}

export interface ProcessOutput {
  stderrTail(): readonly string[];
  /** Resolves at the end of both streams, or after `maxMs`: a process outside of the group may hold them open for ever. */
  finish(maxMs: number): Promise<void>;
}

/**
 * Reads stdout and stderr of a child for as long as it writes, whether anybody is interested or not, so that the child
 * never blocks and nothing piles up.
 */
export function readProcessOutput(stdout: Readable, stderr: Readable, options: ProcessOutputOptions): ProcessOutput {
  const { plugin, maxLineBytes, maxLinesPerSecond, clock, onLog } = options;
  const tail = createLineTail();
  let ready = false;
  const shared = { plugin, maxLineBytes, maxLinesPerSecond, clock, onLog };
  const ended = Promise.all([
    pump(
      stdout,
      createLogStream({
        ...shared,
        stream: "stdout",
        intercept(line) {
          const endpoint = ready ? undefined : parseReadyLine(line);
          if (endpoint !== undefined) ready = options.onReadyLine(endpoint);
          return endpoint !== undefined && ready;
        },
      }),
    ),
    pump(
      stderr,
      createLogStream({
        ...shared,
        stream: "stderr",
        intercept(line) {
          tail.push(line);
          return false;
        },
      }),
    ),
  ]);
  return {
    stderrTail: tail.lines,
    async finish(maxMs) {
      try {
        await within(
          clock,
          maxMs,
          () => ended,
          () => new Error("output still open"),
        );
      } catch {
        stdout.destroy();
        stderr.destroy();
        await ended;
      }
    },
  };
}

/** Resolves when the stream is at its end, failed or destroyed, and its last line delivered. */
function pump(source: Readable, lines: LineSplitter): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  source.on("data", lines.write);
  source.on("error", () => {}); // followed by close
  source.once("close", () => {
    lines.end();
    resolve();
  });
  return promise;
}
