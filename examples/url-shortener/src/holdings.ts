import { readdirSync, readFileSync } from "node:fs";
import type { Clock } from "@cpg/resilience";

/** What a process holds, once everything that can be collected was. */
export interface Holdings {
  readonly heapBytes: number;
  /** Sockets, timers, child processes … that keep the event loop busy. */
  readonly resources: number;
  /** Open file descriptors; -1 where the system does not tell. */
  readonly descriptors: number;
  /** Child processes; -1 where the system does not tell. */
  readonly children: number;
}

/** An odd number. A probe that is under way has a connection and timers, and one that was idle may be on its way out. */
const looks = 11;
const lookEveryMs = 50;

/** The median of several looks, as probes come and go; of the heap the least. @throws {Error} without --expose-gc. */
export async function measureHoldings(clock: Clock): Promise<Holdings> {
  const seen = [look()];
  while (seen.length < looks) {
    await clock.sleep(lookEveryMs);
    seen.push(look());
  }
  const medianOf = (what: keyof Holdings): number =>
    seen.map((holdings) => holdings[what]).toSorted((a, b) => a - b)[(looks - 1) / 2] ?? 0;
  return {
    heapBytes: Math.min(...seen.map(({ heapBytes }) => heapBytes)),
    resources: medianOf("resources"),
    descriptors: medianOf("descriptors"),
    children: medianOf("children"),
  };
}

function look(): Holdings {
  if (globalThis.gc === undefined) throw new Error("run this with --expose-gc");
  globalThis.gc();
  const isLinux = process.platform === "linux";
  return {
    heapBytes: process.memoryUsage().heapUsed,
    resources: process.getActiveResourcesInfo().length,
    descriptors: isLinux ? readdirSync("/proc/self/fd").length : -1,
    children: isLinux ? childrenOfThis() : -1,
  };
}

function childrenOfThis(): number {
  const threads = readdirSync("/proc/self/task");
  return threads.flatMap((thread) =>
    readFileSync(`/proc/self/task/${thread}/children`, "utf8").split(" ").filter(Boolean),
  ).length;
}
