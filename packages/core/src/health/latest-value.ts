/** A stream of values of which a slow reader gets the newest: there is never more than one that waits. */
export interface LatestValue<T> {
  /** Replaces what the reader has not read yet; nothing waits when the reader has just this value. Ignored after `end`. */
  set(value: T): void;
  /** What was set and not read is still delivered, then the stream is over. */
  end(): void;
  /** For one reader. Leaving it early ends the stream at once, even while a read is waiting. */
  readonly values: AsyncIterableIterator<T, void, void>;
}

/** @param onLeave called once, when the reader leaves or has reached the end. */
export function createLatestValue<T>(onLeave: () => void): LatestValue<T> {
  let pending: { readonly value: T } | undefined;
  let delivered: { readonly value: T } | undefined;
  let ended = false;
  let left = false;
  let wake = () => {};

  const leave = (): void => {
    if (left) return;
    left = true;
    onLeave();
  };
  const values: AsyncIterableIterator<T, void, void> = {
    async next() {
      while (pending === undefined) {
        if (ended) {
          leave();
          return { done: true, value: undefined };
        }
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        await promise;
      }
      delivered = pending;
      pending = undefined;
      return { done: false, value: delivered.value };
    },
    async return() {
      ended = true;
      pending = undefined;
      wake();
      leave();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => values,
  };

  return {
    set(value) {
      if (ended) return;
      pending = delivered?.value === value ? undefined : { value };
      wake();
    },
    end() {
      ended = true;
      wake();
    },
    values,
  };
}
