/** A stream of values of which a slow reader gets the newest: there is never more than one that waits. */
export interface LatestValue<T> {
  /** Replaces what the reader has not read yet. Ignored after `end`. */
  set(value: T): void;
  /** What was set and not read is still delivered, then the stream is over. */
  end(): void;
  /** For one reader. */
  readonly values: AsyncGenerator<T, void, void>;
}

/** @param onLeave called once, when the reader leaves or the stream is over. */
export function createLatestValue<T>(onLeave: () => void): LatestValue<T> {
  let pending: { readonly value: T } | undefined;
  let ended = false;
  let wake = () => {};

  async function* read(): AsyncGenerator<T, void, void> {
    try {
      while (true) {
        if (pending !== undefined) {
          const { value } = pending;
          pending = undefined;
          yield value;
        } else if (ended) {
          return;
        } else {
          const { promise, resolve } = Promise.withResolvers<void>();
          wake = resolve;
          await promise;
        }
      }
    } finally {
      onLeave();
    }
  }

  return {
    set(value) {
      if (ended) return;
      pending = { value };
      wake();
    },
    end() {
      ended = true;
      wake();
    },
    values: read(),
  };
}
