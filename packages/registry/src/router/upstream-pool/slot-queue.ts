import type { Clock } from "@cpg/resilience";
import type { UnsentError } from "./unsent-error.ts";

/** Calls that wait for room, in the order in which they came, each for a bounded time. */
export interface SlotQueue<Slot> {
  readonly length: number;
  /** Resolves with a slot. Rejects with an UnsentError. */
  wait(): Promise<Slot>;
  /** Hands a slot to who has waited longest. To be called only if somebody waits. */
  give(slot: Slot): void;
  /** Rejects all who wait. */
  fail(reason: unknown): void;
}

interface Waiter<Slot> {
  resolve(slot: Slot): void;
  reject(reason: unknown): void;
  readonly timer: AbortController;
}

const served = new Error("served");

export function createSlotQueue<Slot>({
  clock,
  timeoutMs,
  onTimeout,
}: {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Why somebody waited in vain. */
  onTimeout(): UnsentError;
}): SlotQueue<Slot> {
  const waiters = new Set<Waiter<Slot>>();
  return {
    get length() {
      return waiters.size;
    },
    wait() {
      const { promise, resolve, reject } = Promise.withResolvers<Slot>();
      const waiter: Waiter<Slot> = { resolve, reject, timer: new AbortController() };
      waiters.add(waiter);
      clock.sleep(timeoutMs, waiter.timer.signal).then(
        () => {
          waiters.delete(waiter);
          reject(onTimeout());
        },
        () => {}, // it was served
      );
      return promise;
    },
    give(slot) {
      const [first] = waiters;
      if (first === undefined) throw new TypeError("nobody waits");
      waiters.delete(first);
      first.timer.abort(served);
      first.resolve(slot);
    },
    fail(reason) {
      const failed = [...waiters];
      waiters.clear();
      for (const { timer, reject } of failed) {
        timer.abort(served);
        reject(reason);
      }
    },
  };
}
