/** A request stream that a test writes by hand. */
export interface Feed<T> extends AsyncIterableIterator<T> {
  push(item: T): void;
  end(): void;
  /** The next read after what was pushed fails. */
  fail(reason: unknown): void;
  /** Resolves when whoever reads it has closed it, or read it to its end. */
  readonly left: Promise<void>;
}

export function createFeed<T>(): Feed<T> {
  const items: T[] = [];
  const { promise: left, resolve: leave } = Promise.withResolvers<void>();
  let over: { readonly reason?: unknown } | undefined;
  let wake = Promise.withResolvers<void>();
  const stir = () => {
    wake.resolve();
    wake = Promise.withResolvers();
  };
  const finish = (how: { readonly reason?: unknown }) => {
    over ??= how;
    stir();
  };
  const feed: Feed<T> = {
    left,
    [Symbol.asyncIterator]: () => feed,
    push(item) {
      items.push(item);
      stir();
    },
    end: () => finish({}),
    fail: (reason) => finish({ reason }),
    async next() {
      for (;;) {
        const item = items.shift();
        if (item !== undefined) return { done: false, value: item };
        if (over !== undefined) {
          leave();
          if (over.reason !== undefined) throw over.reason;
          return { done: true, value: undefined };
        }
        await wake.promise;
      }
    },
    async return() {
      items.length = 0;
      finish({});
      leave();
      return { done: true, value: undefined };
    },
    async throw() {
      return await (feed.return?.() ?? { done: true, value: undefined });
    },
  };
  return feed;
}
