/** Those who want to know. */
export interface Listeners<E> {
  /** From now on `listener` is told, until the function that is returned is called. */
  add(listener: (event: E) => unknown): () => void;
  /** Tells everybody, in the order in which they came. */
  tell(event: E): void;
}

/**
 * Listeners that can do no harm: what one throws, or rejects with if it is asynchronous, is dropped, and an event that
 * one of them causes is told after the present one, so that all see the same order.
 */
export function createListeners<E>(): Listeners<E> {
  const listeners = new Set<{ readonly listener: (event: E) => unknown }>();
  const events: E[] = [];
  let telling = false;
  return {
    add(listener) {
      const entry = { listener };
      listeners.add(entry);
      return () => listeners.delete(entry);
    },
    tell(event) {
      if (listeners.size === 0) return;
      events.push(event);
      if (telling) return;
      telling = true;
      for (let next = events.shift(); next !== undefined; next = events.shift()) {
        for (const { listener } of [...listeners]) {
          try {
            const result = listener(next);
            if (result instanceof Promise) result.catch(() => {});
          } catch {
            // The circuit, or whatever tells, must not depend on who listens.
          }
        }
      }
      telling = false;
    },
  };
}
