import { AsyncResource } from "node:async_hooks";
import type { Clock } from "../clock.ts";

/**
 * What has to end in time. A class whose instances are themselves the links of a list, since most calls of a test or of
 * memory end in the microtasks in which they began: to come and to go costs them a few assignments instead of a timer.
 */
export abstract class Expiring {
  // Declared and set in the constructor: fields with initialisers are dear in a class that others extend.
  /** By the clock's `monotonic()`. Infinity: no limit. */
  declare readonly dueMs: number;
  /** The rest is for `DeadlineTimers` alone. */
  declare older: Expiring | undefined;
  declare newer: Expiring | undefined;
  declare state: "idle" | "begun" | "timed";
  declare timer: AbortController | undefined;

  constructor(dueMs: number) {
    this.dueMs = dueMs;
    this.older = undefined;
    this.newer = undefined;
    this.state = "idle";
    this.timer = undefined;
  }

  /** The time is up. Called at most once, never before `dueMs`, and not after `end`. */
  abstract expire(): void;
}

export interface DeadlineTimers {
  begin(expiring: Expiring): void;
  /** Idempotent. */
  end(expiring: Expiring): void;
}

/** Timers that cost next to nothing for what ends at once: they start when the microtasks of the moment are over. */
export function createDeadlineTimers(clock: Clock): DeadlineTimers {
  /** Those without a timer, from the newest. */
  let newest: Expiring | undefined;
  let watching = false;

  const startTimers = (): void => {
    watching = false;
    const nowMs = clock.monotonic();
    let expiring = newest;
    newest = undefined;
    while (expiring?.older !== undefined) expiring = expiring.older;
    while (expiring !== undefined) {
      const { newer } = expiring;
      startTimer(expiring, nowMs);
      expiring = newer;
    }
  };
  const startTimer = (expiring: Expiring, nowMs: number): void => {
    const timer = new AbortController();
    expiring.state = "timed";
    expiring.older = undefined;
    expiring.newer = undefined;
    expiring.timer = timer;
    clock.sleep(expiring.dueMs - nowMs, timer.signal).then(
      () => {
        if (expiring.state === "timed") expiring.expire();
      },
      () => {}, // ended
    );
  };

  return {
    begin(expiring) {
      expiring.state = "begun";
      expiring.older = newest;
      if (newest !== undefined) newest.newer = expiring;
      newest = expiring;
      if (watching) return;
      watching = true;
      process.nextTick(outsideOfCalls, startTimers);
    },
    end(expiring) {
      const { state, older, newer, timer } = expiring;
      expiring.state = "idle";
      if (state === "begun") {
        if (older !== undefined) older.newer = newer;
        if (newer === undefined) newest = older;
        else newer.older = older;
        expiring.older = undefined;
        expiring.newer = undefined;
      } else if (state === "timed") {
        timer?.abort(ended);
      }
    },
  };
}

/** One constant reason: an abort without one makes an exception with a stack each time. */
const ended = "ended before its deadline";

// One tick starts the timers of several calls. Without this, what listens to their signals would run in the
// AsyncLocalStorage context of whichever call was first.
const outside = new AsyncResource("cpg.deadline", { requireManualDestroy: true });

function outsideOfCalls(work: () => void): void {
  outside.runInAsyncScope(work);
}
