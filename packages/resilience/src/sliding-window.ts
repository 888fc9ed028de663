/** What calls came to, of those that still count. */
export interface WindowCounts {
  readonly calls: number;
  readonly failures: number;
  /** Slow calls, failed or not. */
  readonly slowCalls: number;
}

/** Remembers how the latest calls ended, in memory that does not grow. */
export interface SlidingWindow {
  add(failed: boolean, slow: boolean, nowMs: number): void;
  counts(nowMs: number): WindowCounts;
  clear(): void;
}

const failedFlag = 1;
const slowFlag = 2;

/** A window over the latest `size` calls, whenever they ended. One byte for each. */
export function createCountWindow(size: number): SlidingWindow {
  const flags = new Uint8Array(size);
  let next = 0;
  let calls = 0;
  let failures = 0;
  let slowCalls = 0;
  return {
    add(failed, slow) {
      const gone = flags[next] ?? 0;
      const flag = (failed ? failedFlag : 0) | (slow ? slowFlag : 0);
      failures += (flag & failedFlag) - (gone & failedFlag);
      slowCalls += ((flag & slowFlag) - (gone & slowFlag)) / slowFlag;
      flags[next] = flag;
      next = next + 1 === size ? 0 : next + 1;
      if (calls < size) calls += 1;
    },
    counts: () => ({ calls, failures, slowCalls }),
    clear() {
      flags.fill(0);
      next = 0;
      calls = 0;
      failures = 0;
      slowCalls = 0;
    },
  };
}

const slots = 10;

/**
 * A window over the calls of the last `windowMs`, in ten slots of equal length, of which the oldest goes as a whole: no
 * call counts that is older than the window, every call counts that is not older than nine tenths of it. A clock that
 * goes back adds to the newest slot.
 */
export function createTimeWindow(windowMs: number): SlidingWindow {
  const slotMs = windowMs / slots;
  const counters = Array.from({ length: slots }, () => ({ calls: 0, failures: 0, slowCalls: 0 }));
  const total = { calls: 0, failures: 0, slowCalls: 0 };
  let newest = Number.NEGATIVE_INFINITY;

  const slotAt = (number: number) => {
    const slot = counters[((number % slots) + slots) % slots];
    if (slot === undefined) throw new RangeError(`no slot ${number}`);
    return slot;
  };
  const moveTo = (nowMs: number) => {
    const now = Math.floor(nowMs / slotMs);
    for (let number = Math.max(newest + 1, now - slots + 1); number <= now; number++) {
      const slot = slotAt(number);
      total.calls -= slot.calls;
      total.failures -= slot.failures;
      total.slowCalls -= slot.slowCalls;
      slot.calls = 0;
      slot.failures = 0;
      slot.slowCalls = 0;
    }
    newest = Math.max(newest, now);
  };
  const count = (counter: { calls: number; failures: number; slowCalls: number }, failed: boolean, slow: boolean) => {
    counter.calls += 1;
    if (failed) counter.failures += 1;
    if (slow) counter.slowCalls += 1;
  };

  return {
    add(failed, slow, nowMs) {
      moveTo(nowMs);
      count(slotAt(newest), failed, slow);
      count(total, failed, slow);
    },
    counts(nowMs) {
      moveTo(nowMs);
      return { ...total };
    },
    clear() {
      for (const slot of [...counters, total]) {
        slot.calls = 0;
        slot.failures = 0;
        slot.slowCalls = 0;
      }
    },
  };
}
