import type { Clock } from "@cpg/resilience";

interface Pending {
  readonly dueMs: number;
  expire(): void;
  timer: AbortController | undefined;
}

/** The deadlines of calls. Nearly all calls end long before theirs, most of them in the turn in which they began. */
export interface Deadlines {
  /** Calls `expire` once after `ms`, unless the function that it returns was called before. */
  start(ms: number, expire: () => void): () => void;
}

/**
 * Deadlines that are cheap for calls that end at once: a timer starts only for those that outlive the present turn of the
 * event loop.
 */
export function createDeadlines(clock: Clock): Deadlines {
  const young = new Set<Pending>();
  let scheduled = false;

  const arm = () => {
    scheduled = false;
    for (const pending of young) {
      const timer = new AbortController();
      pending.timer = timer;
      clock.sleep(pending.dueMs - clock.monotonic(), timer.signal).then(
        () => pending.expire(),
        () => {}, // the call has ended
      );
    }
    young.clear();
  };

  return {
    start(ms, expire) {
      const pending: Pending = { dueMs: clock.monotonic() + ms, expire, timer: undefined };
      if (!scheduled) setImmediate(arm);
      scheduled = true;
      young.add(pending);
      return () => {
        young.delete(pending);
        pending.timer?.abort(callEnded);
      };
    },
  };
}

/** One constant reason: an abort without one makes an exception with a stack each time. */
const callEnded = "the call has ended";
