/** Lets so many run at a time; the others wait in line. */
export interface ProbeTurns {
  /**
   * Resolves when it is one's turn, with the function that ends it.
   * @throws the reason of the signal, when that aborts first.
   */
  take(signal: AbortSignal): Promise<() => void>;
}

/** A line as long as there are takers: each provider is at most one of them. */
export function createProbeTurns(max: number): ProbeTurns {
  const waiting = new Set<() => void>();
  let running = 0;

  const end = (): void => {
    const [longest] = waiting;
    if (longest === undefined) running--;
    else longest(); // takes over
  };
  const endOnce = (): (() => void) => {
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      end();
    };
  };
  return {
    take(signal) {
      if (signal.aborted) return Promise.reject(signal.reason);
      if (running < max) {
        running++;
        return Promise.resolve(endOnce());
      }
      return new Promise((resolve, reject) => {
        const onAbort = (): void => {
          waiting.delete(onTurn);
          reject(signal.reason);
        };
        const onTurn = (): void => {
          waiting.delete(onTurn);
          signal.removeEventListener("abort", onAbort);
          resolve(endOnce());
        };
        waiting.add(onTurn);
        signal.addEventListener("abort", onAbort, { once: true });
      });
    },
  };
}
