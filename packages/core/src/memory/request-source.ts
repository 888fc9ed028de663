/** The messages that a caller sends: read one by one, and closed once, whoever ends the call. */
export interface RequestSource {
  next(): Promise<IteratorResult<unknown>>;
  /**
   * Lets the caller's iterable clean up, unless it has ended. With a reason it throws inside a generator first, as
   * Connect's transports do. Does not wait.
   */
  close(reason?: unknown): void;
}

export function createRequestSource(messages: AsyncIterable<unknown>): RequestSource {
  let iterator: AsyncIterator<unknown> | undefined;
  let over = false;
  return {
    async next() {
      if (over) return { done: true, value: undefined };
      iterator ??= messages[Symbol.asyncIterator]();
      try {
        const result = await iterator.next();
        if (result.done) over = true;
        return result;
      } catch (reason) {
        over = true;
        throw reason;
      }
    },
    close(reason) {
      if (over) return;
      over = true;
      void leaveIterator(iterator ?? messages[Symbol.asyncIterator](), reason);
    },
  };
}

/** Tells an iterator that nobody reads on. Resolves when it has cleaned up; what it throws then, nobody waits for. */
export async function leaveIterator(iterator: AsyncIterator<unknown>, reason?: unknown): Promise<void> {
  if (reason !== undefined) {
    // Not awaited: a generator runs both in their order.
    void attempt(() => iterator.throw?.(reason));
  }
  await attempt(() => iterator.return?.());
}

async function attempt(step: () => unknown): Promise<void> {
  try {
    await step();
  } catch {
    // the call has ended already, and said why
  }
}
