/** Where time comes from. Everything of ours that reads a clock or waits takes one as an argument. */
export interface Clock {
  /** Wall clock in ms since the epoch. Only for values that leave the process, such as the expiry of a token. */
  now(): number;
  /** Ms from an arbitrary start, never going back. For every duration, window and deadline. */
  monotonic(): number;
  /**
   * Resolves after `ms`, never before, however long that is. When `signal` aborts, or already has, it rejects with the
   * signal's reason. Either way it leaves no timer and no listener behind. Negative values count as 0; Infinity waits
   * for the signal; NaN rejects with a RangeError, so that a miscalculated delay does not become a busy loop.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Longest delay of a Node timer; a longer one would fire at once. */
const maxTimerMs = 2 ** 31 - 1;

/** The clock of this machine. A pending `sleep` keeps the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep(ms, signal) {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (Number.isNaN(ms)) return Promise.reject(new RangeError("ms must be a number, got NaN"));
    return new Promise((resolve, reject) => {
      const dueMs = performance.now() + Math.max(ms, 0);
      let timer: NodeJS.Timeout;
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const arm = () => {
        // The process may have been held up, and Node warns of a negative delay.
        const leftMs = Math.max(0, Math.ceil(dueMs - performance.now()));
        timer = setTimeout(onTimer, Math.min(leftMs, maxTimerMs));
      };
      const onTimer = () => {
        // A timer can be a fraction of a ms early, and the longest one may be only a part of the sleep.
        if (performance.now() < dueMs) {
          arm();
        } else {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        }
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      arm();
    });
  },
};
