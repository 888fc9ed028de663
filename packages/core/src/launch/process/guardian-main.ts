// The guardian: ends the process groups of a host that died. Started by guardian.ts, which tells it by lines on stdin
// which groups there are, "+pgid" and "-pgid", before it starts one by which variable to know it, "?NAME=value", and which
// directories go with the host, "d/path" and "x/path". The end of stdin means that the host is gone, by whatever means.
// A group that the next host may take over, "k{…}" with what kept-group.ts names, is left alone until its record goes (a
// host took it) or its time is over; until then what it writes is read, so that it does not block.
// It has nothing else to do, so it waits in blocking reads and sleeps, and imports nothing but Node: it stays small.
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import type { KeptGroup } from "./kept-group.ts";

/** From SIGTERM to SIGKILL. */
const graceMs = 1_000;
const lookEveryMs = 20;
const stdin = 0;
const stdout = 1;

interface Kept extends Omit<KeptGroup, "outputs"> {
  /** Open for reading, without blocking. */
  readonly outputs: readonly number[];
}

const groups = new Set<number>();
const kept = new Map<number, Kept>();
const directories = new Set<string>();
/** Of a process that the host was about to start: it may exist although the host did not live to tell its number. */
let expected = "";
/** For how long the kept groups have been waiting, in ms; a little longer in truth. */
let keptMs = 0;
/** As much as a pipe holds, as a rule. */
const rubbish = Buffer.alloc(65_536);

// What ends a terminal's foreground group or a service has to reach the host; the guardian outlives it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const) process.on(signal, () => {});

reportReady();
followHost();
endGroups();
removeDirectories();
while (kept.size > 0) {
  sleep(lookEveryMs);
  tendKept();
  if (groups.size === 0) continue;
  endGroups();
  removeDirectories();
}
process.exit(0);

function reportReady(): void {
  try {
    writeSync(stdout, "ready\n");
  } catch {
    // the host is gone already: all the more to do
  }
}

function followHost(): void {
  const chunk = Buffer.alloc(4096);
  let rest = "";
  for (let length = read(chunk); length > 0; length = read(chunk)) {
    // Whole lines only are decoded as UTF-8: a chunk may end within a character of a path.
    const lines = (rest + chunk.toString("latin1", 0, length)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      follow(line.slice(0, 1), Buffer.from(line.slice(1), "latin1").toString());
    }
  }
}

function follow(verb: string, rest: string): void {
  switch (verb) {
    case "?":
      expected = rest;
      break;
    case "+":
      expected = "";
      release(Number(rest)); // left by this host, and taken again
      if (Number(rest) > 1) groups.add(Number(rest)); // 0 and 1 would mean ourselves and everybody
      break;
    case "-":
      groups.delete(Number(rest));
      release(Number(rest));
      break;
    case "k":
      keep(rest);
      break;
    case "d":
      directories.add(rest);
      break;
    case "x":
      directories.delete(rest);
      break;
  }
}

function keep(json: string): void {
  const group: KeptGroup = JSON.parse(json);
  release(group.pgid);
  groups.delete(group.pgid);
  directories.delete(group.directory);
  kept.set(group.pgid, { ...group, outputs: group.outputs.flatMap(openOutput) });
}

function openOutput(path: string): number[] {
  try {
    return [openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)];
  } catch {
    return []; // it writes to nobody then, and ends by that
  }
}

function release(pgid: number): Kept | undefined {
  const group = kept.get(pgid);
  kept.delete(pgid);
  for (const output of group?.outputs ?? []) closeSync(output);
  return group;
}

/** One look at those that wait for the next host. */
function tendKept(): void {
  keptMs += lookEveryMs;
  for (const { pgid, record, directory, withinMs, outputs } of kept.values()) {
    for (const output of outputs) drain(output);
    if (!existsSync(record)) {
      release(pgid); // the next host's
    } else if (keptMs >= withinMs || !isThere(pgid)) {
      release(pgid);
      if (!take(record)) continue;
      groups.add(pgid);
      directories.add(directory);
    }
  }
}

/** Whoever removes the record has the group. */
function take(record: string): boolean {
  try {
    unlinkSync(record);
    return true;
  } catch {
    return false;
  }
}

function isThere(pgid: number): boolean {
  try {
    return process.kill(-pgid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

function drain(output: number): void {
  try {
    while (readSync(output, rubbish) === rubbish.length);
  } catch {
    // nothing there now
  }
}

/** 0 at the end of stdin. */
function read(chunk: Buffer): number {
  while (true) {
    try {
      return readSync(stdin, chunk);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code === "EAGAIN") sleep(lookEveryMs);
      else if (code !== "EINTR") return 0; // a host that cannot be followed is gone
    }
  }
}

function endGroups(): void {
  signalGroups("SIGTERM");
  for (let waitedMs = 0; (groups.size > 0 || expected !== "") && waitedMs < graceMs; waitedMs += lookEveryMs) {
    sleep(lookEveryMs);
    if (kept.size > 0) tendKept();
    signalGroups(0); // whoever ended is forgotten at once: its number may soon be somebody else's
    if (expected !== "") findExpected();
  }
  signalGroups("SIGKILL");
}

/** Only Linux shows the environment of a process. It becomes visible a moment after the start, hence the repetition. */
function findExpected(): void {
  for (const name of process.platform === "linux" ? readdirSync("/proc") : []) {
    try {
      if (/^\d+$/.test(name) && readFileSync(`/proc/${name}/environ`, "latin1").split("\0").includes(expected)) {
        groups.add(Number(name)); // its children have the variable too; they lead no group
      }
    } catch {
      // not ours, or gone
    }
  }
}

function signalGroups(signal: NodeJS.Signals | 0): void {
  for (const pgid of groups) {
    try {
      process.kill(-pgid, signal);
    } catch {
      groups.delete(pgid);
    }
  }
}

function removeDirectories(): void {
  for (const path of directories) {
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {
      // somebody else's by now
    }
  }
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
