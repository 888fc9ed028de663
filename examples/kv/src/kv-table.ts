import { DatabaseSync } from "node:sqlite";

/** Keys and values in one SQLite file. */
export interface KvTable extends Disposable {
  get(key: string): Uint8Array | undefined;
  put(key: string, value: Uint8Array): void;
  /** Whether there was a value. */
  delete(key: string): boolean;
  close(): void;
}

/**
 * Opens the table, creating file and table where they lack. A `put` is on disk when it returns, so a process that is
 * killed right after it loses nothing. `":memory:"` keeps it in memory.
 */
export function openKvTable(file: string): KvTable {
  const database = new DatabaseSync(file);
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA busy_timeout = 5000;
    CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
  `);
  const select = database.prepare("SELECT value FROM kv WHERE key = ?");
  const upsert = database.prepare(
    "INSERT INTO kv (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
  );
  const remove = database.prepare("DELETE FROM kv WHERE key = ?");
  let open = true;
  const table: KvTable = {
    get(key) {
      const value = select.get(key)?.value;
      return value instanceof Uint8Array ? value : undefined;
    },
    put: (key, value) => void upsert.run(key, value),
    delete: (key) => remove.run(key).changes > 0,
    close() {
      if (open) database.close();
      open = false;
    },
    [Symbol.dispose]: () => table.close(),
  };
  return table;
}
