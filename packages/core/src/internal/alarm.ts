import type { Clock } from "@cpg/resilience";

/** A wait that others can cut short. */
export interface Alarm {
  /** Ends the wait that is under way, or else the next one. */
  ring(): void;
  /** Resolves after `ms` or when it rings. Rejects with the reason of `signal`. For one waiter at a time. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

export function createAlarm(clock: Clock): Alarm {
  let rung = false;
  let wake = () => {};
  return {
    ring() {
      rung = true;
      wake();
    },
    async wait(ms, signal) {
      const early = new AbortController();
      wake = () => early.abort();
      if (rung) early.abort();
      try {
        await clock.sleep(ms, AbortSignal.any([signal, early.signal]));
      } catch (reason) {
        signal.throwIfAborted();
        if (!early.signal.aborted) throw reason;
      } finally {
        rung = false;
        wake = () => {};
      }
    },
  };
}
