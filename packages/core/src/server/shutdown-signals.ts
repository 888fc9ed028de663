const signals = ["SIGTERM", "SIGINT"] as const;
type ShutdownSignal = (typeof signals)[number];

/** Of the servers that no signal has reached yet. */
const closers = new Set<(signal: ShutdownSignal) => Promise<void>>();
/** The closing that a signal began, until it is done or a second signal came. */
let stopping: Promise<unknown> | undefined;
let listening = false;

/**
 * Runs `close` when the process is told to end, and lets the process end by that signal once every `close` of this
 * process is done: its parent sees the same exit as without a handler, only after the calls in flight. A second
 * signal ends it at once. Returns how to take `close` back.
 */
export function onShutdownSignal(close: (signal: ShutdownSignal) => Promise<void>): () => void {
  listen();
  closers.add(close);
  return () => {
    if (closers.delete(close) && closers.size === 0 && stopping === undefined) release();
  };
}

function listen(): void {
  if (!listening) for (const signal of signals) process.on(signal, stop);
  listening = true;
}

function release(): void {
  for (const signal of signals) process.removeListener(signal, stop);
  listening = false;
}

function stop(signal: ShutdownSignal): void {
  if (stopping !== undefined) {
    endBy(signal);
    return;
  }
  const told = [...closers];
  closers.clear();
  const done = Promise.allSettled(told.map((close) => close(signal)));
  stopping = done;
  void done.then(() => {
    if (stopping === done) endBy(signal);
  });
}

function endBy(signal: ShutdownSignal): void {
  release();
  stopping = undefined;
  // Whoever else listens for this signal decides about the end of the process.
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  else if (closers.size > 0) listen();
}
