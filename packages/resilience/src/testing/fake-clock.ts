import type { Clock } from "../clock.ts";

interface Sleeper {
  readonly dueMs: number;
  wake(): void;
}

/**
 * A clock that stands still until a test moves it. `monotonic()` begins at 0, `now()` at `startMs`.
 * @example
 * const clock = new FakeClock();
 * const done = clock.sleep(1_000);
 * await clock.advance(1_000);
 * await done;
 */
export class FakeClock implements Clock {
  readonly #startMs: number;
  #elapsedMs = 0;
  /** In the order in which they are due; those due together in the order in which they fell asleep. */
  #sleepers: Sleeper[] = [];
  #waiters: { readonly count: number; resolve(): void }[] = [];
  #onNextSleep: (() => void)[] = [];

  constructor(startMs = 1_700_000_000_000) {
    this.#startMs = startMs;
  }

  now(): number {
    return this.#startMs + this.#elapsedMs;
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (Number.isNaN(ms)) return Promise.reject(new RangeError("ms must be a number, got NaN"));
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(signal?.reason);
      };
      const sleeper: Sleeper = {
        dueMs: this.#elapsedMs + Math.max(ms, 0),
        wake: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      const index = this.#sleepers.findIndex(({ dueMs }) => dueMs > sleeper.dueMs);
      this.#sleepers.splice(index < 0 ? this.#sleepers.length : index, 0, sleeper);
      for (const tell of this.#onNextSleep.splice(0)) tell();
      this.#tellWaiters();
    });
  }

  /** How many sleeps are under way: 0 when the code under test has cleaned up. */
  get pending(): number {
    return this.#sleepers.length;
  }

  /** The time left until the next sleep ends, in ms; undefined when nobody sleeps. */
  get nextDueMs(): number | undefined {
    const [first] = this.#sleepers;
    return first && first.dueMs - this.#elapsedMs;
  }

  /** Resolves when the code under test falls asleep the next time, from now on. Nothing needs to be polled. */
  nextSleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#onNextSleep.push(resolve);
    });
  }

  /** Resolves when at least `count` sleeps are under way, which may be at once. */
  waitForSleep(count = 1): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push({ count, resolve });
      this.#tellWaiters();
    });
  }

  /**
   * Moves time on by `ms`, and wakes who is due on the way, one after the other and each at its own time. What a sleeper
   * does when it wakes happens before the next one wakes, as far as it needs no input or output.
   */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0)) throw new RangeError(`ms must be at least 0, got ${ms}`);
    const endMs = this.#elapsedMs + ms;
    await settle();
    for (let [first] = this.#sleepers; first !== undefined && first.dueMs <= endMs; [first] = this.#sleepers) {
      this.#sleepers.shift();
      this.#elapsedMs = Math.max(this.#elapsedMs, first.dueMs);
      first.wake();
      await settle();
    }
    this.#elapsedMs = endMs;
    await settle();
  }

  #tellWaiters(): void {
    const ready = this.#waiters.filter(({ count }) => count <= this.#sleepers.length);
    this.#waiters = this.#waiters.filter((waiter) => !ready.includes(waiter));
    for (const { resolve } of ready) resolve();
  }
}

/** One turn of the event loop: every microtask that is due has run after it. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
