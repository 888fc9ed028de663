let waiting: (() => void)[] = [];
let spare: (() => void)[] = [];

/**
 * Calls back once what one read of a socket brought has been handled: Node parses it in one go, and each frame or chunk of
 * it is told in a tick of its own. All who wait share one immediate.
 */
export function afterBatch(callback: () => void): void {
  if (waiting.length === 0) setImmediate(callAll);
  waiting.push(callback);
}

function callAll(): void {
  const callbacks = waiting;
  waiting = spare;
  for (const callback of callbacks) callback();
  callbacks.length = 0;
  spare = callbacks;
}
