import type { LogRecord } from "./launch-strategy.ts";

export interface LogBuffer extends AsyncIterable<LogRecord> {
  /** Takes a record. Never blocks and never throws: pass it on as `onLog`. */
  readonly push: (record: LogRecord) => void;
  /** Ends the iteration, after the records that are held. */
  end(): void;
}

export interface LogBufferOptions {
  /** Records held for a slow reader. Whole number from 1. Default 1 000. */
  readonly maxRecords?: number | undefined;
}

/**
 * Holds records for one reader that takes its time. When it is full the oldest record goes, and is counted in
 * `droppedLines` of the next one of its plugin and stream. A reader that stops early leaves nothing behind; a second
 * one at the same time shares the records with it.
 * @throws {RangeError} for bad options.
 * @example
 * const logs = createLogBuffer();
 * const plugin = await launchPlugin({ strategy, plugins, onLog: logs.push });
 * for await (const { stream, line } of logs) await ship(stream, line);
 */
export function createLogBuffer(options: LogBufferOptions = {}): LogBuffer {
  const { maxRecords = 1_000 } = options;
  if (!Number.isInteger(maxRecords) || maxRecords < 1) {
    throw new RangeError(`maxRecords must be a whole number from 1, got ${maxRecords}`);
  }
  // A ring: `first` is the oldest of `size` records.
  const ring: (LogRecord | undefined)[] = [];
  let first = 0;
  let size = 0;
  let ended = false;
  /** Drops not told yet. One entry for each stream of which the next record has not been read. */
  const untold = new Map<string, number>();
  let wake: (() => void) | undefined;
  let arrival: Promise<void> | undefined;

  const take = (): LogRecord | undefined => {
    const record = ring[first];
    ring[first] = undefined;
    first = (first + 1) % maxRecords;
    size--;
    return record;
  };
  const notify = (): void => {
    wake?.();
    wake = undefined;
    arrival = undefined;
  };

  return {
    push(record) {
      if (ended) return;
      if (size === maxRecords) {
        const oldest = take();
        if (oldest !== undefined) {
          const key = streamKey(oldest);
          untold.set(key, (untold.get(key) ?? 0) + oldest.droppedLines + 1);
        }
      }
      ring[(first + size) % maxRecords] = record;
      size++;
      notify();
    },
    end() {
      ended = true;
      notify();
    },
    async *[Symbol.asyncIterator]() {
      while (true) {
        while (size > 0) {
          const record = take();
          if (record === undefined) continue;
          const key = streamKey(record);
          const dropped = untold.get(key) ?? 0;
          untold.delete(key);
          yield dropped === 0 ? record : { ...record, droppedLines: record.droppedLines + dropped };
        }
        if (ended) return;
        arrival ??= new Promise<void>((resolve) => {
          wake = resolve;
        });
        await arrival;
      }
    },
  };
}

function streamKey(record: LogRecord): string {
  return `${record.stream} ${record.plugin}`;
}
