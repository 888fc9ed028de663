import type { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import type { Clock } from "@cpg/resilience";
import type { ProcessEnd } from "../spawned-process.ts";
import { isStillThere } from "./process-start.ts";

export interface StrangerOptions {
  readonly pid: number;
  readonly start: string;
  /** What it writes to: their end is a sign that it may have ended. */
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly clock: Clock;
}

export interface FollowedStranger {
  /** Resolves when it has ended. Never rejects. */
  readonly ended: Promise<ProcessEnd>;
  /** Looks no more; `ended` stays as it is. */
  forget(): void;
}

/** A look costs some 20 µs. */
const lookMs = 250;
const firstLookMs = 5;

/**
 * Follows a process that is no child of this one to its end. The system tells nobody but its parent of that, so this looks,
 * and at once when its output ends. How it ended stays unknown.
 */
export function followStranger({ pid, start, stdout, stderr, clock }: StrangerOptions): FollowedStranger {
  const forgotten = new AbortController();
  const silent = new AbortController();
  const outputs = [stdout, stderr].map((output) => finished(output, { writable: false }));
  void Promise.allSettled(outputs).then(() => silent.abort("it writes no more"));

  const follow = async (): Promise<ProcessEnd> => {
    let pauseMs = firstLookMs;
    while (isStillThere(pid, start)) {
      const waiting = silent.signal.aborted ? forgotten.signal : AbortSignal.any([forgotten.signal, silent.signal]);
      if (silent.signal.aborted) pauseMs = Math.min(pauseMs * 2, lookMs);
      await clock.sleep(silent.signal.aborted ? pauseMs : lookMs, waiting).catch(() => {}); // a sign came
      if (forgotten.signal.aborted) return await new Promise<never>(() => {});
    }
    return { code: null, signal: null };
  };
  return { ended: follow(), forget: () => forgotten.abort("it is somebody else's") };
}
