import { Code, ConnectError } from "@connectrpc/connect";

export interface Entry {
  readonly key: string;
  readonly value: string;
}

/** The store of one plugin: bounded, with watches that are bounded, too. */
export interface Table {
  get(key: string): string | undefined;
  /** @throws {ConnectError} `resource_exhausted` when it is full. */
  put(entry: Entry): void;
  /**
   * Every change from this call on, until `signal` aborts.
   * @throws {ConnectError} `resource_exhausted` at once when there are too many, and while reading when more changes wait
   * than a reader may fall behind.
   */
  follow(signal: AbortSignal): AsyncIterable<Entry>;
}

const maxKeys = 1_000;
const maxReaders = 16;
const maxBehind = 256;

interface Reader {
  readonly pending: Entry[];
  end: ConnectError | "left" | undefined;
  wake(): void;
}

export function createTable(): Table {
  const entries = new Map<string, string>();
  const readers = new Set<Reader>();

  async function* read(reader: Reader): AsyncGenerator<Entry, void, void> {
    for (;;) {
      const entry = reader.pending.shift();
      if (entry !== undefined) {
        yield entry;
        continue;
      }
      if (reader.end === "left") return;
      if (reader.end !== undefined) throw reader.end;
      const { promise, resolve } = Promise.withResolvers<void>();
      reader.wake = resolve;
      await promise;
    }
  }
  const end = (reader: Reader, how: ConnectError | "left"): void => {
    reader.end ??= how;
    readers.delete(reader);
    reader.wake();
  };

  return {
    get: (key) => entries.get(key),
    put(entry) {
      if (entries.size >= maxKeys && !entries.has(entry.key)) {
        throw new ConnectError(`a plugin may have ${maxKeys} keys`, Code.ResourceExhausted);
      }
      entries.set(entry.key, entry.value);
      for (const reader of readers) {
        if (reader.pending.length < maxBehind) reader.pending.push(entry);
        else end(reader, new ConnectError(`more than ${maxBehind} changes behind`, Code.ResourceExhausted));
        reader.wake();
      }
    },
    follow(signal) {
      if (readers.size >= maxReaders) throw new ConnectError("there are too many watches", Code.ResourceExhausted);
      const reader: Reader = { pending: [], end: undefined, wake() {} };
      readers.add(reader);
      const onAbort = () => end(reader, "left");
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
      return read(reader);
    },
  };
}
