/** A stream of what `map` makes of each value. No generator: its reader can leave while a read waits. */
export function mappedStream<T, U>(
  source: AsyncIterableIterator<T, undefined, void>,
  map: (value: T) => U,
): AsyncIterableIterator<U, undefined, void> {
  const stream: AsyncIterableIterator<U, undefined, void> = {
    [Symbol.asyncIterator]: () => stream,
    async next() {
      const result = await source.next();
      return result.done ? result : { done: false, value: map(result.value) };
    },
    async return() {
      await source.return?.();
      return { done: true, value: undefined };
    },
  };
  return stream;
}
