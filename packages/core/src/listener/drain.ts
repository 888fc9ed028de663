import type { Clock } from "@cpg/resilience";

/** What is drained. */
export interface DrainTarget {
  readonly inFlight: number;
  /** Accepts nothing more and lets every connection close after its last call. Resolves when all have closed. */
  retire(): Promise<void>;
  /** Ends what is left; says how many calls that were. */
  cut(): number;
}

export interface Drain {
  /** Begins to drain, or shortens the grace of the drain under way. All calls share one result. */
  start(graceMs: number): Promise<{ readonly cut: number }>;
  /** To be called when the number of calls in flight falls to 0. */
  onIdle(): void;
}

/** Time for peers without calls to answer the good-bye: one round trip, on a slow network. */
const goodbyeMs = 1_000;

export function createDrain(target: DrainTarget, clock: Clock): Drain {
  let result: Promise<{ readonly cut: number }> | undefined;
  let deadlineMs = Number.POSITIVE_INFINITY;
  let cutCalls = 0;
  const ended = new AbortController();
  let graceTimer = new AbortController();
  let goodbyeTimer = new AbortController();

  const after = (ms: number, timer: AbortController, act: () => void) => {
    clock.sleep(ms, timer.signal).then(act, () => {}); // rejects when the timer is stopped
  };
  const cut = () => {
    cutCalls += target.cut();
  };
  const stop = () => {
    ended.abort();
    graceTimer.abort();
    goodbyeTimer.abort();
  };
  const onIdle = () => {
    if (result === undefined || ended.signal.aborted) return;
    goodbyeTimer.abort();
    goodbyeTimer = new AbortController();
    after(goodbyeMs, goodbyeTimer, () => {
      if (target.inFlight === 0) cut();
    });
  };

  return {
    onIdle,
    start(graceMs) {
      if (!(graceMs >= 0)) throw new RangeError(`graceMs must be a number of ms from 0, got ${graceMs}`);
      if (result === undefined) {
        result = target.retire().then(() => {
          stop();
          return { cut: cutCalls };
        });
        if (target.inFlight === 0) onIdle();
      }
      const dueMs = clock.monotonic() + graceMs;
      if (ended.signal.aborted || dueMs >= deadlineMs) return result;
      deadlineMs = dueMs;
      graceTimer.abort();
      graceTimer = new AbortController();
      if (graceMs === 0) cut();
      else after(graceMs, graceTimer, cut);
      return result;
    },
  };
}
