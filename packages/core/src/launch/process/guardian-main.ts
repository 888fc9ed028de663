// The guardian: ends the process groups of a host that died. Started by guardian.ts, which tells it by lines on stdin
// which groups there are, "+pgid" and "-pgid", before it starts one by which variable to know it, "?NAME=value", and which
// directories go with the host, "d/path" and "x/path". The end of stdin means that the host is gone, by whatever means.
// It has nothing else to do, so it waits in blocking reads and sleeps, and imports nothing but Node: it stays small.
import { readdirSync, readFileSync, readSync, rmSync, writeSync } from "node:fs";

/** From SIGTERM to SIGKILL. */
const graceMs = 1_000;
const lookEveryMs = 20;
const stdin = 0;
const stdout = 1;

const groups = new Set<number>();
const directories = new Set<string>();
/** Of a process that the host was about to start: it may exist although the host did not live to tell its number. */
let expected = "";

// What ends a terminal's foreground group or a service has to reach the host; the guardian outlives it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const) process.on(signal, () => {});

reportReady();
followHost();
endGroups();
removeDirectories();
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
      if (Number(rest) > 1) groups.add(Number(rest)); // 0 and 1 would mean ourselves and everybody
      break;
    case "-":
      groups.delete(Number(rest));
      break;
    case "d":
      directories.add(rest);
      break;
    case "x":
      directories.delete(rest);
      break;
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
