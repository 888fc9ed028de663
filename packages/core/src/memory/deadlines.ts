import type { Clock } from "@cpg/resilience";

/**
 * What has to end in time. A class whose instances are themselves the links of a list, since most calls end in the
 * microtasks in which they began: to come and to go costs them a few assignments, where a timer costs some µs, a set
 * 0.1 µs and even a look at the clock 0.05 µs, as much as a function call that is awaited.
 */
export abstract class Timed {
  // Declared and set in the constructor, here and in classes below: fields with initialisers treble the price of an
  // object whose class extends another.
  /** Undefined: no limit. */
  declare readonly timeoutMs: number | undefined;
  /** The rest is for `Deadlines` alone. */
  declare dueMs: number | undefined;
  declare begun: boolean;
  declare watched: boolean;
  declare older: Timed | undefined;
  declare newer: Timed | undefined;
  declare timer: AbortController | undefined;

  constructor(timeoutMs: number | undefined) {
    this.timeoutMs = timeoutMs;
    this.dueMs = undefined;
    this.begun = false;
    this.watched = false;
    this.older = undefined;
    this.newer = undefined;
    this.timer = undefined;
  }

  /** The time is up. Called at most once, and not after `Deadlines.end`. */
  abstract expire(): void;
}

/** The deadlines of calls: those of one server, or of one client. */
export interface Deadlines {
  begin(timed: Timed): void;
  /** Has to be called in a microtask after `begin`: those that have not ended when the microtasks are over get a timer. */
  watch(): void;
  /** Idempotent. */
  end(timed: Timed): void;
  /** The time that is left, in ms; undefined: no limit. */
  leftMs(timed: Timed): number | undefined;
  /** What has begun and not ended, from the oldest, with a deadline or without. */
  list(): Timed[];
}

/**
 * Deadlines that cost next to nothing for calls that end at once. A timer starts, and the clock is read, only for those
 * that are still there when the microtasks of the moment are over: their time counts from then, or from when somebody has
 * asked for it. So a deadline is never early, and as late as a busy event loop makes every timer.
 */
export function createDeadlines(clock: Clock): Deadlines {
  // One end is enough: to note a young object in an old one costs the garbage collector more than all the rest here.
  let newest: Timed | undefined;
  let watching = false;

  const dueMsOf = (timed: Timed, timeoutMs: number, nowMs: number): number => {
    timed.dueMs ??= nowMs + timeoutMs;
    return timed.dueMs;
  };
  const startTimers = (): void => {
    watching = false;
    const nowMs = clock.monotonic();
    for (const timed of takeUnwatched()) {
      const { timeoutMs } = timed;
      if (timeoutMs === undefined) continue;
      const timer = new AbortController();
      timed.timer = timer;
      clock.sleep(dueMsOf(timed, timeoutMs, nowMs) - nowMs, timer.signal).then(
        () => timed.expire(),
        () => {}, // the call has ended
      );
    }
  };
  /** Those without a timer are the newest. From the oldest of them. */
  const takeUnwatched = (): Timed[] => {
    const all: Timed[] = [];
    for (let timed = newest; timed !== undefined && !timed.watched; timed = timed.older) {
      timed.watched = true;
      all.push(timed);
    }
    return all.reverse();
  };

  return {
    begin(timed) {
      timed.begun = true;
      timed.older = newest;
      if (newest !== undefined) newest.newer = timed;
      newest = timed;
    },
    watch() {
      if (watching || newest === undefined || newest.watched) return;
      watching = true;
      process.nextTick(startTimers);
    },
    end(timed) {
      if (!timed.begun) return;
      timed.begun = false;
      const { older, newer } = timed;
      if (older !== undefined) older.newer = newer;
      if (newer === undefined) newest = older;
      else newer.older = older;
      timed.older = undefined;
      timed.newer = undefined;
      if (timed.timer !== undefined) timed.timer.abort(callEnded);
    },
    leftMs(timed) {
      if (timed.timeoutMs === undefined) return undefined;
      const nowMs = clock.monotonic();
      return dueMsOf(timed, timed.timeoutMs, nowMs) - nowMs;
    },
    list() {
      const all: Timed[] = [];
      for (let timed = newest; timed !== undefined; timed = timed.older) all.push(timed);
      return all.reverse();
    },
  };
}

/** One constant reason: an abort without one makes an exception with a stack each time. */
const callEnded = "the call has ended";
