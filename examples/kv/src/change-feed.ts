import { Code, ConnectError } from "@connectrpc/connect";

export interface Change {
  readonly key: string;
  /** Undefined when the key was removed. */
  readonly value: Uint8Array | undefined;
}

export interface ChangeFeed {
  publish(change: Change): void;
  /**
   * Every change published from this call on whose key starts with `prefix`, until `signal` aborts or the feed closes.
   * @throws {ConnectError} `resource_exhausted` at once when there are too many readers, and while reading when more
   * changes wait than a reader may fall behind.
   */
  follow(prefix: string, signal: AbortSignal): AsyncIterable<Change>;
  /** Ends every reader with `unavailable`. */
  close(): void;
}

interface Reader {
  readonly prefix: string;
  readonly pending: Change[];
  end: ConnectError | "done" | undefined;
  wake: () => void;
}

export function createChangeFeed({ maxReaders = 1_000, maxBehind = 1_024 } = {}): ChangeFeed {
  const readers = new Set<Reader>();

  const end = (reader: Reader, how: ConnectError | "done"): void => {
    reader.end ??= how;
    readers.delete(reader);
    reader.wake();
  };

  async function* read(reader: Reader, leave: () => void): AsyncGenerator<Change, void, void> {
    try {
      while (true) {
        const change = reader.pending.shift();
        if (change !== undefined) {
          yield change;
          continue;
        }
        if (reader.end === "done") return;
        if (reader.end !== undefined) throw reader.end;
        const { promise, resolve } = Promise.withResolvers<void>();
        reader.wake = resolve;
        await promise;
      }
    } finally {
      leave();
    }
  }

  return {
    publish(change) {
      for (const reader of readers) {
        if (!change.key.startsWith(reader.prefix)) continue;
        if (reader.pending.length >= maxBehind) {
          end(reader, new ConnectError(`the reader is more than ${maxBehind} changes behind`, Code.ResourceExhausted));
        } else {
          reader.pending.push(change);
          reader.wake();
        }
      }
    },
    follow(prefix, signal) {
      if (readers.size >= maxReaders) {
        throw new ConnectError(`there are already ${maxReaders} watches`, Code.ResourceExhausted);
      }
      const reader: Reader = { prefix, pending: [], end: undefined, wake: () => {} };
      readers.add(reader);
      const onAbort = () => end(reader, "done");
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
      return read(reader, () => {
        readers.delete(reader);
        signal.removeEventListener("abort", onAbort);
      });
    },
    close() {
      for (const reader of [...readers]) end(reader, new ConnectError("the store is closing", Code.Unavailable));
    },
  };
}
