import { readdirSync, readFileSync } from "node:fs";

interface RunningProcess {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
}

/** Processes of this machine that are more than zombies. Linux only. */
function runningProcesses(): RunningProcess[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "latin1");
      // proc_pid_stat(5): pid (comm) state ppid pgrp …; comm may hold anything, parentheses too.
      const [state, parent, group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ", 3);
      if (state === "Z" || state === "X") return [];
      return [{ pid: Number(name), parent: Number(parent), group: Number(group) }];
    } catch {
      return []; // it ended meanwhile
    }
  });
}

/** The groups of a process's children. */
export function groupsUnder(pid: number): number[] {
  return [...new Set(runningProcesses().flatMap(({ parent, group }) => (parent === pid ? [group] : [])))];
}

/** How many processes there are in a group. */
export function sizeOfGroup(group: number): number {
  return runningProcesses().filter((running) => running.group === group).length;
}
