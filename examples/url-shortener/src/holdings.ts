import { readdirSync, readFileSync } from "node:fs";

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

/** @throws {Error} without --expose-gc. */
export async function measureHoldings(): Promise<Holdings> {
  if (globalThis.gc === undefined) throw new Error("run this with --expose-gc");
  for (let round = 0; round < 5; round++) {
    await new Promise((resolve) => setImmediate(resolve)); // what was closed is let go of in a later turn
    globalThis.gc();
  }
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
