import { createAlarm } from "@cpg/core/extension";
import type { Clock } from "@cpg/resilience";
import { createNumberHeap } from "./number-heap.ts";

/** What has an end, and knows in which bucket it lies. */
export interface Expiring {
  /** For `Expiry` alone. */
  bucket: number | undefined;
}

/** Tells when times are up. To add, move and remove takes the same time however many there are. */
export interface Expiry<T extends Expiring> {
  /** @param atMs monotonic. */
  add(item: T, atMs: number): void;
  remove(item: T): void;
  /** Stops the timer and forgets all. Idempotent. */
  close(): void;
}

export interface ExpiryOptions<T> {
  readonly clock: Clock;
  /** Greatest delay, in ms: what ends within it is looked at together. */
  readonly widthMs: number;
  /** The time may be up. Returns when it will be, if it is not: it is asked again then. */
  onDue(item: T): number | undefined;
  /** Hears of a clock that fails. */
  onError(error: unknown): void;
}

/**
 * Buckets of a fixed width with one timer for all, as in a hashed timing wheel (Varghese and Lauck, 1987), in a map instead
 * of a ring. What is renewed stays in its bucket until that is due, and moves then.
 */
export function createExpiry<T extends Expiring>(options: ExpiryOptions<T>): Expiry<T> {
  const { clock, widthMs, onDue, onError } = options;
  /** By number: bucket n is due at n * widthMs. */
  const buckets = new Map<number, Set<T>>();
  /** Those that are in the map, and some that were. */
  const numbers = createNumberHeap();
  const queued = new Set<number>();
  const alarm = createAlarm(clock);
  const closed = new AbortController();
  let running = false;

  const add = (item: T, atMs: number): void => {
    const number = Math.ceil(atMs / widthMs);
    let bucket = buckets.get(number);
    if (bucket === undefined) {
      bucket = new Set();
      buckets.set(number, bucket);
      if (!queued.has(number)) {
        queued.add(number);
        if (number < (numbers.least ?? Number.POSITIVE_INFINITY)) alarm.ring();
        numbers.add(number);
      }
    }
    item.bucket = number;
    bucket.add(item);
    if (!running && !closed.signal.aborted) {
      running = true;
      void run();
    }
  };

  const remove = (item: T): void => {
    if (item.bucket === undefined) return;
    const bucket = buckets.get(item.bucket);
    bucket?.delete(item);
    if (bucket?.size === 0) buckets.delete(item.bucket);
    item.bucket = undefined;
    if (buckets.size === 0) alarm.ring(); // there is nothing to wait for
  };

  const empty = (number: number): void => {
    const due = buckets.get(number) ?? [];
    buckets.delete(number);
    for (const item of due) {
      item.bucket = undefined;
      const laterMs = onDue(item);
      if (laterMs !== undefined) add(item, laterMs);
    }
  };

  const run = async (): Promise<void> => {
    try {
      for (let next = numbers.least; next !== undefined && buckets.size > 0; next = numbers.least) {
        const leftMs = next * widthMs - clock.monotonic();
        if (leftMs > 0 && buckets.has(next)) {
          await alarm.wait(leftMs, closed.signal);
          continue;
        }
        numbers.takeLeast();
        queued.delete(next);
        empty(next);
      }
    } catch (error) {
      if (!closed.signal.aborted) onError(error);
    } finally {
      running = false;
    }
  };

  return {
    add,
    remove,
    close() {
      closed.abort("closed");
      buckets.clear();
    },
  };
}
