import { type FSWatcher, watch } from "node:fs";
import { basename, dirname } from "node:path";

/** Hears of what happens in the directory of a file. */
export interface DirectoryWatch {
  /** Begins, if it does not hear already; a directory that is not there (any more) is tried again with the next call. */
  open(): void;
  /** For good. */
  close(): void;
}

/**
 * Watches the directory and not the file: a watch of a file follows what it was, not what takes its place. Anything that
 * happens there counts, since the file may be a link to what was replaced.
 */
export function watchDirectory(path: string, onEvent: () => void): DirectoryWatch {
  const directory = dirname(path);
  let watcher: FSWatcher | undefined;
  let closed = false;
  const drop = (): void => {
    watcher?.close();
    watcher = undefined;
  };
  return {
    open() {
      if (watcher !== undefined || closed) return;
      try {
        watcher = watch(directory, { persistent: false }, (event, name) => {
          // Perhaps the directory itself was moved or removed, and another one takes its place.
          if (event === "rename" && name === basename(directory)) drop();
          onEvent();
        });
        watcher.on("error", () => {
          drop();
          onEvent();
        });
      } catch {
        // Reading the file at intervals tells what is wrong.
      }
    },
    close() {
      closed = true;
      drop();
    },
  };
}
