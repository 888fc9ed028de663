/** Errors, or other events, in the order in which they came; `next` waits for one that is not there yet. */
export interface EventLog<T> {
  readonly all: readonly T[];
  readonly add: (event: T) => void;
  /** Resolves with the first event that matches, past or future. */
  find(matches: (event: T) => boolean): Promise<T>;
}

export function createEventLog<T>(): EventLog<T> {
  const all: T[] = [];
  const waiting: { matches(event: T): boolean; resolve(event: T): void }[] = [];
  return {
    all,
    add(event) {
      all.push(event);
      for (const { matches, resolve } of waiting) if (matches(event)) resolve(event);
    },
    find(matches) {
      const past = all.filter(matches);
      if (past.length > 0) return Promise.resolve(past[0] as T);
      return new Promise((resolve) => waiting.push({ matches, resolve }));
    },
  };
}
