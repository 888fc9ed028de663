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

/** A probe that is under way has a connection and timers; it is not under way all the time. */
const looks = 10;
const lookEveryMs = 50;

/** The least of several looks, as probes come and go. @throws {Error} without --expose-gc. */
export async function measureHoldings(clock: Clock): Promise<Holdings> {
  let least = look();
  for (let count = 1; count < looks; count++) {
    await clock.sleep(lookEveryMs);
    const { heapBytes, resources, descriptors, children } = look();
    least = {
      heapBytes: Math.min(least.heapBytes, heapBytes),
      resources: Math.min(least.resources, resources),
      descriptors: Math.min(least.descriptors, descriptors),
      children: Math.min(least.children, children),
    };
  }
  return least;
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
