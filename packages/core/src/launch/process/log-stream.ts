import type { Clock } from "@cpg/resilience";
import { callListener } from "../../internal/call-listener.ts";
import type { LogRecord } from "../launch-strategy.ts";
import { createLineSplitter, type LineSplitter } from "./line-splitter.ts";

export interface LogStreamOptions {
  readonly plugin: string;
  readonly stream: LogRecord["stream"];
  readonly maxLineBytes: number;
  readonly maxLinesPerSecond: number;
  readonly clock: Clock;
  onLog(record: LogRecord): void;
  /** Sees every line first, those that are not delivered too. True: the line is no log record. */
  intercept?(line: string): boolean;
}

const windowMs = 1_000;

/**
 * Turns what a plugin writes into records, delivered synchronously, at most `maxLinesPerSecond` of them: the rest, and
 * those on which `onLog` threw, are dropped and counted in the next record. The last line is always delivered.
 */
export function createLogStream(options: LogStreamOptions): LineSplitter {
  const { plugin, stream, maxLineBytes, maxLinesPerSecond, clock } = options;
  let droppedLines = 0;
  let windowStartMs = clock.monotonic();
  let inWindow = 0;
  let lastDropped: { line: string; truncatedBytes: number } | undefined;

  const deliver = (line: string, truncatedBytes: number): void => {
    const record = { plugin, stream, line, truncatedBytes, droppedLines, timeMs: clock.now() };
    droppedLines = 0;
    lastDropped = undefined;
    const drop = (): void => {
      droppedLines += record.droppedLines + 1;
    };
    callListener(() => options.onLog(record), drop);
  };

  const splitter = createLineSplitter(maxLineBytes, (line, truncatedBytes) => {
    if (options.intercept?.(line)) return;
    const nowMs = clock.monotonic();
    if (nowMs - windowStartMs >= windowMs) {
      windowStartMs = nowMs;
      inWindow = 0;
    }
    inWindow++;
    if (inWindow <= maxLinesPerSecond) {
      deliver(line, truncatedBytes);
    } else {
      droppedLines++;
      lastDropped = { line, truncatedBytes };
    }
  });

  return {
    write: splitter.write,
    end() {
      splitter.end();
      if (lastDropped === undefined) return;
      droppedLines--; // the one delivered now
      deliver(lastDropped.line, lastDropped.truncatedBytes);
    },
  };
}
