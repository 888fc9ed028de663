import { readdirSync, readFileSync } from "node:fs";
import type { Clock } from "@cpg/resilience";

/** Sends a signal to every member of a group; signal 0 only looks. False when nobody is there to get it. */
export function signalGroup(pgid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pgid, signal);
    return true;
  } catch (error) {
    // EPERM: somebody is there whom we may not signal, such as a member that changed its user.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

const firstPauseMs = 1;
const longestPauseMs = 50;
const attempts = 30;

/**
 * Waits until nobody is left in a group that was sent SIGKILL; there is no event for that. Gives up after about one
 * second: what is listed then is stuck in the kernel, or waits for a parent to take notice of its end.
 */
export async function groupGone(pgid: number, clock: Clock): Promise<void> {
  let pauseMs = firstPauseMs;
  for (let attempt = 0; attempt < attempts && signalGroup(pgid, 0) && someoneRuns(pgid); attempt++) {
    await clock.sleep(pauseMs);
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  }
}

/**
 * Whether a member is more than a zombie. In a container whose first process does not reap orphans, zombies remain and
 * get signals for ever. Only Linux tells; true where it is not known.
 */
function someoneRuns(pgid: number): boolean {
  if (process.platform !== "linux") return true;
  try {
    return readdirSync("/proc").some((name) => /^\d+$/.test(name) && runsIn(pgid, name));
  } catch {
    return true;
  }
}

function runsIn(pgid: number, pid: string): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // proc_pid_stat(5): pid (comm) state ppid pgrp …; comm may hold anything, parentheses too.
    const [state, , pgrp] = stat.slice(stat.lastIndexOf(")") + 2).split(" ", 3);
    return Number(pgrp) === pgid && state !== "Z" && state !== "X";
  } catch {
    return false; // it ended meanwhile
  }
}
