import { DatabaseSync } from "node:sqlite";

/** Codes and URLs in a SQLite file. What `save` has returned from survives a crash. */
export interface UrlTable {
  /** False: the code stands for another URL. */
  save(code: string, url: string): boolean;
  find(code: string): string | undefined;
  close(): void;
}

export function openUrlTable(file: string): UrlTable {
  const database = new DatabaseSync(file);
  // Another process may have the file open for a moment: while this one takes its place, or it takes this one's.
  database.exec("PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  database.exec("CREATE TABLE IF NOT EXISTS urls (code TEXT PRIMARY KEY, url TEXT NOT NULL) STRICT, WITHOUT ROWID");
  const insert = database.prepare("INSERT INTO urls (code, url) VALUES (?, ?) ON CONFLICT (code) DO NOTHING");
  const select = database.prepare("SELECT url FROM urls WHERE code = ?");
  const find = (code: string): string | undefined => {
    const url = select.get(code)?.url;
    return typeof url === "string" ? url : undefined;
  };
  return {
    save(code, url) {
      insert.run(code, url);
      return find(code) === url;
    },
    find,
    close: () => database.close(),
  };
}
