/** What one side puts in, the other takes out, waiting for it. */
export interface Queue<T> {
  put(item: T): void;
  take(): Promise<T>;
}

export function createQueue<T>(): Queue<T> {
  const items: T[] = [];
  const takers: ((item: T) => void)[] = [];
  return {
    put(item) {
      const taker = takers.shift();
      if (taker === undefined) items.push(item);
      else taker(item);
    },
    take() {
      if (items.length === 0) return new Promise((resolve) => takers.push(resolve));
      return Promise.resolve(items.shift() as T);
    },
  };
}
