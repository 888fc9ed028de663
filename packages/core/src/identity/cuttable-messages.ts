/** A stream of messages that somebody other than its reader can end. */
export interface CuttableMessages<T> {
  readonly messages: AsyncIterable<T>;
  /** Makes the pending and every later read fail with `error`, and ends the source. */
  cut(error: unknown): void;
}

/**
 * Passes messages on, one in, one out. `onSettled` is called once: when the source has ended or failed, when the
 * reader leaves, or when the stream is cut.
 *
 * No generator, since one that waits for its source cannot be ended from outside; and no `Promise.race` per message,
 * which would keep every message's reaction alive as long as the stream.
 */
export function cuttableMessages<T>(source: AsyncIterable<T>, onSettled: () => void): CuttableMessages<T> {
  const pending = new Set<(error: unknown) => void>();
  let inner: AsyncIterator<T> | undefined;
  let state: { readonly kind: "open" | "done" } | { readonly kind: "cut"; readonly error: unknown } = { kind: "open" };

  const settle = (next: typeof state): void => {
    if (state.kind !== "open") return;
    state = next;
    onSettled();
  };
  const iterator = (): AsyncIterator<T> => {
    inner ??= source[Symbol.asyncIterator]();
    return inner;
  };

  const messages: AsyncIterableIterator<T> = {
    [Symbol.asyncIterator]: () => messages,
    next() {
      if (state.kind === "cut") return Promise.reject(state.error);
      return new Promise((resolve, reject) => {
        pending.add(reject);
        iterator()
          .next()
          .then(
            (result) => {
              pending.delete(reject);
              if (result.done) settle({ kind: "done" });
              resolve(result);
            },
            (error) => {
              pending.delete(reject);
              settle({ kind: "done" });
              reject(error);
            },
          );
      });
    },
    async return(value) {
      const wasCut = state.kind === "cut";
      settle({ kind: "done" });
      // A source that was cut got its `return` then, and may be stuck in a read that nobody waits for any more.
      if (!wasCut) await iterator().return?.();
      return { done: true, value };
    },
    async throw(error) {
      const wasCut = state.kind === "cut";
      settle({ kind: "done" });
      if (!wasCut) await iterator().return?.();
      throw error;
    },
  };

  return {
    messages,
    cut(error) {
      if (state.kind !== "open") return;
      settle({ kind: "cut", error });
      for (const reject of pending) reject(error);
      pending.clear();
      Promise.resolve(iterator().return?.()).catch(() => {}); // the source's own trouble; its reader has its error
    },
  };
}
