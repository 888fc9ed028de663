const signals = ["SIGTERM", "SIGINT"] as const;
type ShutdownSignal = (typeof signals)[number];

const closers = new Set<(signal: ShutdownSignal) => Promise<void>>();
let stopping = false;

/**
 * Runs `close` when the process is told to end, and lets the process end by that signal once every `close` of this
 * process is done: its parent sees the same exit as without a handler, only after the calls in flight. A second
 * signal ends it at once. Returns how to take `close` back.
 */
export function onShutdownSignal(close: (signal: ShutdownSignal) => Promise<void>): () => void {
  if (closers.size === 0) for (const signal of signals) process.on(signal, stop);
  closers.add(close);
  return () => {
    closers.delete(close);
    if (closers.size === 0 && !stopping) release();
  };
}

function release(): void {
  for (const signal of signals) process.removeListener(signal, stop);
}

function stop(signal: ShutdownSignal): void {
  if (stopping) {
    endBy(signal);
    return;
  }
  stopping = true;
  void Promise.allSettled([...closers].map((close) => close(signal))).then(() => endBy(signal));
}

function endBy(signal: ShutdownSignal): void {
  release();
  stopping = false;
  // Whoever else listens for this signal decides about the end of the process.
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}
