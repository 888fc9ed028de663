import { createHash, randomBytes } from "node:crypto";
import { lstat, mkdir, readdir, readFile, rename, rm, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { parseRunRecord, type RunRecord } from "./run-record-schema.ts";

export interface NotedRun {
  /** The file that says so. */
  readonly path: string;
  readonly record: RunRecord;
}

/** More than that many records of one plugin are not looked at: there is one, or two while it is replaced. */
const maxRecords = 100;

/**
 * Makes the directory if it is not there.
 * @throws {ConnectError} `failed_precondition` when others can read or write it. {Error} of the system.
 */
export async function openRecordDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if (await isPrivate(directory)) return;
  throw new ConnectError(
    `reattach.directory ${directory} must be a directory of this user with mode 0700`,
    Code.FailedPrecondition,
  );
}

/** Whether it is a directory that nobody but this user can enter. */
export async function isPrivate(directory: string): Promise<boolean> {
  try {
    const found = await lstat(directory);
    return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
  } catch {
    return false;
  }
}

/** A fresh path for a record of this plugin. */
export function recordPath(directory: string, plugin: string): string {
  return join(directory, `${prefixOf(plugin)}${randomBytes(8).toString("hex")}.json`);
}

/** The records of a plugin, whosever they are. A file that is no record is passed over. */
export async function readRecords(directory: string, plugin: string): Promise<readonly NotedRun[]> {
  const prefix = prefixOf(plugin);
  const names = (await readdir(directory)).filter((name) => name.startsWith(prefix) && name.endsWith(".json"));
  const found: NotedRun[] = [];
  for (const name of names.slice(0, maxRecords)) {
    const path = join(directory, name);
    const json = await readFile(path, "utf8").catch(() => ""); // its end came first
    const record = parseRunRecord(json);
    if (record?.plugin === plugin) found.push({ path, record });
  }
  return found;
}

/** In one step: a reader finds all of it or nothing, and so does a host that starts after this one was killed. */
export async function writeRecord(path: string, record: RunRecord): Promise<void> {
  const draft = `${path}.new`;
  try {
    await writeFile(draft, JSON.stringify(record), { mode: 0o600 });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw error;
  }
}

/** Whoever removes a record has its plugin: false when somebody else was first. */
export async function takeRecord(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch {
    return false;
  }
}

/** A name may hold anything, and be long. */
function prefixOf(plugin: string): string {
  return `${createHash("sha256").update(plugin).digest("hex").slice(0, 24)}-`;
}
