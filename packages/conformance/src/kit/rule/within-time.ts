import type { Clock } from "@cpg/resilience";
import { BrokenRule } from "./finding.ts";

/**
 * Result of `work`. Its signal aborts when it has taken `ms`, and when it has ended, so that what it left open goes.
 * @throws {BrokenRule} when the time is over.
 */
export async function withinTime<T>(clock: Clock, ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const whole = new AbortController();
  const timer = new AbortController();
  const { promise: late, reject } = Promise.withResolvers<never>();
  clock.sleep(ms, timer.signal).then(
    () => reject(new BrokenRule(`no answer within ${Math.ceil(ms)} ms`)),
    () => {}, // stopped: the work is done
  );
  try {
    const result = work(whole.signal);
    result.catch(() => {}); // it may come too late
    return await Promise.race([result, late]);
  } finally {
    timer.abort(new Error("done"));
    whole.abort(new Error("the rule has been looked at"));
  }
}
