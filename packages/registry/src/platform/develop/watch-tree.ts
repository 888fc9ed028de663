import { type FSWatcher, lstatSync, readdirSync, statSync, watch } from "node:fs";
import { basename, join } from "node:path";
import { isIgnored, type WatchRoot } from "./file-patterns.ts";

export interface TreeWatchOptions {
  readonly roots: readonly WatchRoot[];
  /** Directories at a time. */
  readonly maxDirectories: number;
  /** Hears of each absolute path to which something happened: a file, or a directory. */
  onChange(path: string): void;
  /** Hears why a part is not watched any more. */
  onError(error: Error): void;
}

export interface TreeWatch {
  /** Idempotent. */
  close(): void;
}

/**
 * Watches directories, and those below them but for hidden ones and node_modules; links are not followed. All of them are
 * watched when this returns; what is added later is found by itself.
 * @throws {RangeError} for too many directories. {Error} of the system.
 */
export function watchTree({ roots, maxDirectories, onChange, onError }: TreeWatchOptions): TreeWatch {
  const watched = new Map<string, FSWatcher>();

  const drop = (directory: string): void => {
    for (const [path, watcher] of watched) {
      if (path !== directory && !path.startsWith(`${directory}/`)) continue;
      watched.delete(path);
      watcher.close();
    }
  };

  const open = (directory: string, isDeep: boolean): void => {
    if (watched.size >= maxDirectories) {
      const hint = "name fewer files, or raise maxDirectories";
      throw new RangeError(`${directory} is not watched: there are ${maxDirectories} directories already; ${hint}`);
    }
    const watcher = watch(directory, { persistent: false }, (event, name) => {
      if (watched.get(directory) === watcher) attempt(() => heard({ path: directory, isDeep }, event, name));
    });
    watcher.on("error", (error) => {
      if (watched.get(directory) !== watcher) return;
      drop(directory);
      onError(error);
    });
    watched.set(directory, watcher);
  };

  /** @param isNew whether what is found there counts as a change. */
  const visit = (directory: string, isDeep: boolean, isNew: boolean): void => {
    // Before it is read, or what happens in between would not be seen.
    if (!watched.has(directory)) open(directory, isDeep);
    for (const entry of isDeep || isNew ? readdirSync(directory, { withFileTypes: true }) : []) {
      const path = join(directory, entry.name);
      if (isIgnored(entry.name)) continue;
      if (!entry.isDirectory()) {
        if (isNew) onChange(path);
      } else if (isDeep && !watched.has(path)) {
        visit(path, true, isNew);
      }
    }
  };

  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      // What went away meanwhile is told by the directory that it was in.
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) onError(error as Error);
    }
  };

  const heard = ({ path: directory, isDeep }: WatchRoot, event: string, name: string | null): void => {
    const path = name === null ? directory : join(directory, name);
    if (event === "rename" && name === basename(directory) && !isThere(path)) {
      // The directory itself tells of its end by its own name; another one may be in its place.
      renew(directory, isDeep);
      onChange(directory);
    } else if (name === null || !isIgnored(name)) {
      if (event === "rename" && isDeep) renew(path, true);
      onChange(path);
    }
  };

  const renew = (directory: string, isDeep: boolean): void => {
    drop(directory);
    const isRoot = roots.some(({ path }) => path === directory);
    const stats = (isRoot ? statSync : lstatSync)(directory, { throwIfNoEntry: false });
    if (stats?.isDirectory() === true) visit(directory, isDeep, true);
    else if (isRoot) onError(new Error(`${directory} is gone, and not watched any more`));
  };

  try {
    // Deep ones first: one of them may hold another root.
    for (const { path, isDeep } of roots.toSorted((a, b) => Number(b.isDeep) - Number(a.isDeep))) {
      visit(path, isDeep, false);
    }
  } catch (error) {
    for (const { path } of roots) drop(path);
    throw error;
  }
  return {
    close() {
      for (const watcher of watched.values()) watcher.close();
      watched.clear();
    },
  };
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
