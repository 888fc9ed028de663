import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

/**
 * When a process started, as the system tells: together with its number this names one process and no later one. The
 * text means nothing beyond being equal. Undefined when there is no such process, or nothing but its zombie.
 */
export async function processStart(pid: number): Promise<string | undefined> {
  return process.platform === "linux" ? linuxStart(pid) : await psStart(pid);
}

/** Whether that process is still there; elsewhere than on Linux its number alone is looked at, for `ps` is slow. */
export function isStillThere(pid: number, start: string): boolean {
  if (process.platform === "linux") return linuxStart(pid) === start;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** Clock ticks since boot, field 22 of proc_pid_stat(5); ticks of another boot are another time. */
function linuxStart(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // from the third one, the state
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()} ${fields[19]}`;
  } catch {
    return undefined;
  }
}

/** To the second; for systems without /proc. */
async function psStart(pid: number): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)("ps", ["-o", "stat=,lstart=", "-p", String(pid)]);
    const [state = "Z", ...start] = stdout.trim().split(/\s+/);
    return state.startsWith("Z") ? undefined : start.join(" ");
  } catch {
    return undefined; // it says so by its exit code
  }
}
