import type { Clock } from "@cpg/resilience";

/**
 * Result of `work`, or the error that `onTimeout` makes when `work` takes longer than `ms`.
 * `work` gets a signal that aborts at the time-out, and when `parent` aborts (then this rejects with its reason). A
 * result that arrives after that is dropped, its rejection handled.
 */
export async function within<T>(
  clock: Clock,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
  onTimeout: () => Error,
  parent?: AbortSignal,
): Promise<T> {
  parent?.throwIfAborted();
  const attempt = new AbortController();
  const timer = new AbortController();
  const { promise: cut, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(parent?.reason);
  parent?.addEventListener("abort", onAbort, { once: true });
  clock.sleep(ms, timer.signal).then(
    () => reject(onTimeout()),
    () => {}, // the timer was stopped because the work is done
  );
  try {
    const result = work(attempt.signal);
    result.catch(() => {}); // may lose the race
    return await Promise.race([result, cut]);
  } catch (reason) {
    attempt.abort(reason);
    throw reason;
  } finally {
    timer.abort();
    parent?.removeEventListener("abort", onAbort);
  }
}
