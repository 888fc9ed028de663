import { readdirSync, readFileSync } from "node:fs";

/**
 * CPU time that these processes have used so far, all their threads together, in ns: the first figure of
 * /proc/PID/task/TID/schedstat, https://docs.kernel.org/scheduler/sched-stats.html. 0 where there is no such file.
 */
export function cpuNs(pids: readonly number[]): number {
  let sum = 0;
  for (const pid of pids) {
    for (const thread of entriesOf(`/proc/${pid}/task`)) {
      const [used = "0"] = readOrEmpty(`/proc/${pid}/task/${thread}/schedstat`).split(" ");
      sum += Number(used);
    }
  }
  return sum;
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // the thread has ended
  }
}
