/** One direction of a stream: an item passes from hand to hand when the reader asks for it, and nothing is buffered. */
export interface HandOver<T> extends AsyncIterableIterator<T> {
  /** Lets the reader fail: a read that waits at once, otherwise the next one. Later ones find the end. */
  fail(reason: unknown): void;
  return(): Promise<IteratorResult<T>>;
}

export interface HandOverOptions<T> {
  /** The next item. Called when the reader asks and the call before has settled. Not called again after it failed. */
  pull(): Promise<IteratorResult<T>>;
  /** The reader left before the end. Called at most once. */
  onLeave(): void;
}

type State =
  | { readonly kind: "open" }
  | { readonly kind: "failed"; readonly reason: unknown }
  | { readonly kind: "done" };

/** Reads that overlap are served one after the other, in their order. */
export function createHandOver<T>({ pull, onLeave }: HandOverOptions<T>): HandOver<T> {
  let state: State = open;
  let reading: Promise<IteratorResult<T>> | undefined;
  let settle: { resolve(result: IteratorResult<T>): void; reject(reason: unknown): void } | undefined;

  const arrived = (result: IteratorResult<T>): void => {
    const reader = settle;
    if (reader === undefined) return; // the reader has been told otherwise
    settle = undefined;
    reading = undefined;
    if (result.done) state = done;
    reader.resolve(result);
  };
  const failed = (reason: unknown): void => {
    const reader = settle;
    if (reader === undefined) return;
    settle = undefined;
    reading = undefined;
    state = done;
    reader.reject(reason);
  };

  const next = (): Promise<IteratorResult<T>> => {
    if (reading !== undefined) return reading.then(next, next);
    if (state.kind === "done") return Promise.resolve({ done: true, value: undefined });
    if (state.kind === "failed") {
      const { reason } = state;
      state = done;
      return Promise.reject(reason);
    }
    reading = new Promise((resolve, reject) => {
      settle = { resolve, reject };
    });
    const result = reading;
    pull().then(arrived, failed);
    return result;
  };

  const leave = (): void => {
    const before = state;
    state = done;
    arrived({ done: true, value: undefined });
    if (before.kind === "open") onLeave();
  };

  const handOver: HandOver<T> = {
    [Symbol.asyncIterator]: () => handOver,
    next,
    fail(reason) {
      if (state.kind !== "open") return;
      if (settle === undefined) state = { kind: "failed", reason };
      else failed(reason);
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
