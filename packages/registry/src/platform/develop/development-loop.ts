import { createAlarm } from "@cpg/core/extension";
import type { Clock } from "@cpg/resilience";

export interface DevelopmentLoopParts {
  readonly clock: Clock;
  /** How long nothing may change before the work begins, in ms. */
  readonly debounceMs: number;
  readonly signal: AbortSignal;
  /** Does what is to be done after changes; one at a time. Never rejects. */
  work(files: readonly string[]): Promise<void>;
}

export interface DevelopmentLoop {
  changed(file: string): void;
  /** Resolves when the signal has aborted and no work is under way. Never rejects. */
  readonly ended: Promise<void>;
}

/** Of the files that changed this many are named. */
const namedFiles = 100;
/** What changes all the time is taken up all the same, after this many debounces. */
const maxDebounces = 10;

/**
 * Works once things are quiet after a change. Whatever changes during the work, however often, causes it once more.
 */
export function createDevelopmentLoop({ clock, debounceMs, signal, work }: DevelopmentLoopParts): DevelopmentLoop {
  const alarm = createAlarm(clock);
  let files = new Set<string>();
  let changes = 0;

  const quiet = async (): Promise<void> => {
    const endsMs = clock.monotonic() + maxDebounces * debounceMs;
    for (;;) {
      const before = changes;
      const leftMs = endsMs - clock.monotonic();
      await alarm.wait(Math.min(debounceMs, leftMs), signal);
      if (changes === before || clock.monotonic() >= endsMs) return;
    }
  };

  const run = async (): Promise<void> => {
    for (;;) {
      await alarm.wait(Number.POSITIVE_INFINITY, signal);
      await quiet();
      const named = [...files];
      files = new Set();
      await work(named);
      signal.throwIfAborted();
    }
  };

  return {
    changed(file) {
      changes++;
      if (files.size < namedFiles) files.add(file);
      alarm.ring();
    },
    ended: run().catch(() => {}), // its signal ends it
  };
}
