/**
 * The values that a generator makes, in a stream that its reader can leave at any time, also while a read waits: the
 * generator's signal aborts then, and both the read and the leave-taking are done at once.
 * @param parent its reason ends the stream, too.
 */
export function leavableStream<T>(
  generate: (signal: AbortSignal) => AsyncGenerator<T, void, void>,
  parent?: AbortSignal,
): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const left = new AbortController();
      const values = generate(parent === undefined ? left.signal : AbortSignal.any([parent, left.signal]));
      return {
        async next() {
          try {
            return await values.next();
          } catch (reason) {
            if (left.signal.aborted) return end;
            throw reason;
          }
        },
        async return() {
          left.abort(readerLeft);
          await values.return().catch(() => {});
          return end;
        },
      };
    },
  };
}

const end: IteratorReturnResult<undefined> = { done: true, value: undefined };
const readerLeft = new Error("the reader left");
