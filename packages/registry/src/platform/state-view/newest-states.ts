import { leavableStream } from "../../discovery/leavable-stream.ts";

export interface NewestStatesOptions<T> {
  /** The present state. */
  read(): T;
  /** Calls `listener` whenever the state may have changed. Returns how to stop. */
  follow(listener: () => void): () => void;
  /** Ends the stream, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The present state, and then the newest one whenever something has changed since the last that was read: what happens at
 * once is seen at once, and a slow reader misses states in between, never the last. Follows nothing before the first read,
 * and nothing once it was left.
 */
export function newestStates<T>({ read, follow, signal }: NewestStatesOptions<T>): AsyncIterable<T> {
  return leavableStream(async function* (ended) {
    let changed = Promise.withResolvers<void>();
    changed.promise.catch(() => {}); // an end that nobody waits for
    const stop = follow(() => changed.resolve());
    const onEnd = (): void => {
      stop(); // nobody may read on
      changed.reject(ended.reason);
    };
    ended.addEventListener("abort", onEnd, { once: true });
    try {
      ended.throwIfAborted();
      for (;;) {
        yield read();
        await changed.promise;
        ended.throwIfAborted();
        changed = Promise.withResolvers<void>();
        changed.promise.catch(() => {}); // an end that nobody waits for
      }
    } finally {
      ended.removeEventListener("abort", onEnd);
      stop();
    }
  }, signal);
}
