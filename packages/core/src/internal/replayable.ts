/** What is to be sent, of which the beginning can be sent once more. */
export interface Replayable<T> {
  /** Whether another attempt may begin. */
  readonly kept: boolean;
  /** All of it from its beginning, for one more attempt; the attempt before it gets no more. */
  open(): AsyncIterable<T>;
  /** The attempt under way is the last one. */
  accepted(): void;
  /** The call failed: whoever makes the parts hears of it. */
  fail(reason: unknown): void;
}

export interface ReplayableOptions<T> {
  /** What is kept at most until an attempt is accepted; with more, no other attempt may begin. */
  readonly max: number;
  /** How much of it one part is. */
  sizeOf(part: T): number;
}

/** Attempts share what has been read, and reads that are under way: a part that a failed attempt waited for is not lost. */
export function createReplayable<T>(parts: AsyncIterable<T>, { max, sizeOf }: ReplayableOptions<T>): Replayable<T> {
  const source = parts[Symbol.asyncIterator]();
  let reads: Promise<IteratorResult<T>>[] = [];
  let size = 0;
  let attempt = 0;
  let accepted = false;

  const count = (result: IteratorResult<T>): IteratorResult<T> => {
    if (!result.done) size += sizeOf(result.value);
    return result;
  };
  const isKept = () => !accepted && size <= max;

  return {
    get kept() {
      return isKept();
    },
    open() {
      attempt++;
      const mine = attempt;
      let at = 0;
      const next = (): Promise<IteratorResult<T>> => {
        if (mine !== attempt) return Promise.resolve({ done: true, value: undefined });
        if (isKept()) {
          reads[at] ??= source.next().then(count);
          return reads[at++] as Promise<IteratorResult<T>>;
        }
        // What an earlier attempt has read ahead comes first; what this one has read is not needed any more.
        reads = reads.slice(at);
        at = 0;
        return reads.shift() ?? source.next();
      };
      return {
        [Symbol.asyncIterator]: () => ({
          next,
          // Before the server has answered this may be an attempt that is not the last.
          throw: (reason: unknown) => (accepted ? tell(reason) : Promise.resolve({ done: true, value: undefined })),
        }),
      };
    },
    accepted() {
      accepted = true;
    },
    fail(reason) {
      accepted = true;
      tell(reason).catch(() => {}); // who makes the parts has nothing to add
    },
  };

  function tell(reason: unknown): Promise<IteratorResult<T>> {
    return source.throw?.(reason) ?? Promise.reject(reason);
  }
}
