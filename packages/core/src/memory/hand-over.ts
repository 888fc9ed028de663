/** One direction of a stream: an item passes from hand to hand when the reader asks for it, and nothing is buffered. */
export interface HandOver<T> extends AsyncIterableIterator<T> {
  /** What `pull` asked for: the next item, or the end. Dropped if the reader has been told otherwise. */
  put(result: IteratorResult<T>): void;
  /** Instead of an item: the reader fails, and the stream is over. */
  refuse(reason: unknown): void;
  /** Lets the reader fail: a read that waits at once, otherwise the next one. Later ones find the end. */
  fail(reason: unknown): void;
  next(): Promise<IteratorResult<T>>;
  return(): Promise<IteratorResult<T>>;
}

export interface HandOverOptions {
  /**
   * The reader asks: has to lead to one `put` or `refuse`, at once or later. Not called again before that, nor after the
   * end. Functions to call instead of a promise to return: that would be two promises more for each message.
   */
  pull(): void;
  /** The reader left before the end. Called at most once. */
  onLeave(): void;
}

type State =
  | { readonly kind: "open" }
  | { readonly kind: "failed"; readonly reason: unknown }
  | { readonly kind: "done" };

/** Reads that overlap are served one after the other, in their order. */
export function createHandOver<T>({ pull, onLeave }: HandOverOptions): HandOver<T> {
  let state: State = open;
  let reading: Promise<IteratorResult<T>> | undefined;
  let resolve: ((result: IteratorResult<T>) => void) | undefined;
  let reject: ((reason: unknown) => void) | undefined;
  const toRead = (onResult: (result: IteratorResult<T>) => void, onError: (reason: unknown) => void): void => {
    resolve = onResult;
    reject = onError;
  };

  const put = (result: IteratorResult<T>): void => {
    const told = resolve;
    if (told === undefined) return; // the reader has been told otherwise
    resolve = undefined;
    reading = undefined;
    if (result.done) state = done;
    told(result);
  };
  const refuse = (reason: unknown): void => {
    if (resolve === undefined) return;
    resolve = undefined;
    reading = undefined;
    state = done;
    reject?.(reason);
  };

  const next = (): Promise<IteratorResult<T>> => {
    if (reading !== undefined) return reading.then(next, next);
    if (state.kind === "done") return Promise.resolve({ done: true, value: undefined });
    if (state.kind === "failed") {
      const { reason } = state;
      state = done;
      return Promise.reject(reason);
    }
    const result = new Promise(toRead);
    reading = result;
    pull();
    return result;
  };

  const leave = (): void => {
    const before = state;
    state = done;
    put({ done: true, value: undefined });
    if (before.kind === "open") onLeave();
  };

  const handOver: HandOver<T> = {
    [Symbol.asyncIterator]: () => handOver,
    next,
    put,
    refuse,
    fail(reason) {
      if (state.kind !== "open") return;
      if (resolve === undefined) state = { kind: "failed", reason };
      else refuse(reason);
    },
    return() {
      leave();
      return Promise.resolve({ done: true, value: undefined });
    },
    throw(reason) {
      leave();
      return Promise.reject(reason);
    },
  };
  return handOver;
}

const open: State = { kind: "open" };
const done: State = { kind: "done" };
