import { readdirSync } from "node:fs";

/** What this process holds after garbage collection. */
export interface Holdings {
  readonly heapBytes: number;
  /** Open file descriptors; -1 where the system does not tell. */
  readonly descriptors: number;
  /** Sockets, servers, timers and the like that keep the process alive. */
  readonly resources: number;
  /** Listeners on the process itself. */
  readonly listeners: number;
}

/** Needs `--expose-gc`. */
export async function measureHoldings(): Promise<Holdings> {
  if (globalThis.gc === undefined) throw new Error("run this with --expose-gc");
  for (let round = 0; round < 4; round++) {
    await new Promise((resolve) => setImmediate(resolve));
    globalThis.gc();
  }
  return {
    heapBytes: process.memoryUsage().heapUsed,
    descriptors: process.platform === "linux" ? readdirSync("/proc/self/fd").length : -1,
    resources: process.getActiveResourcesInfo().length,
    listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
  };
}

/** Runs `cycle` often; prints what was held after the tenth time and after the last, as one line of JSON. */
export async function reportHoldings(cycles: number, cycle: () => Promise<void>): Promise<void> {
  let early: Holdings | undefined;
  for (let count = 1; count <= cycles; count++) {
    await cycle();
    if (count === 10) early = await measureHoldings();
  }
  const late = await measureHoldings();
  console.log(JSON.stringify({ early, late }));
}
