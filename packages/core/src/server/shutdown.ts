import { Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";

/** The steps of a graceful shutdown, in their order. */
export interface ShutdownSteps {
  /** Tells others that the server is going. Bounded by the grace. */
  announce(): Promise<void> | void;
  /** Finishes the calls in flight, and cuts what remains after `graceMs`. Called again when the grace gets shorter. */
  drain(graceMs: number): Promise<unknown>;
  cleanUp(): Promise<void>;
}

export interface Shutdown {
  /** Aborts when the shutdown begins. */
  readonly draining: AbortSignal;
  /** Aborts when the grace is over: handlers that still run should give up. */
  readonly cut: AbortSignal;
  /** Runs the steps once. Called again it shares the result; the earliest end of a grace wins. */
  begin(graceMs: number, steps: ShutdownSteps): Promise<void>;
}

/** What handlers answer when they are cut gets this long to be sent. */
const flushMs = 500;

export function createShutdown({ clock }: { readonly clock: Clock }): Shutdown {
  const draining = new AbortController();
  const cut = new AbortController();
  const finished = new AbortController();
  let result: Promise<void> | undefined;
  let drain: ((graceMs: number) => Promise<unknown>) | undefined;
  let endsAtMs = Number.POSITIVE_INFINITY;

  const run = async (steps: ShutdownSteps): Promise<void> => {
    draining.abort(new ConnectError("the server is shutting down", Code.Unavailable));
    const announced = Promise.resolve(steps.announce()).catch(() => {}); // whoever is not told will notice
    await Promise.race([announced, aborted(cut.signal)]);
    drain = (graceMs) => steps.drain(graceMs + flushMs);
    await drain(Math.max(0, endsAtMs - clock.monotonic()));
    finished.abort("the calls in flight have ended");
    await steps.cleanUp();
  };

  return {
    draining: draining.signal,
    cut: cut.signal,
    begin(graceMs, steps) {
      const endMs = clock.monotonic() + graceMs;
      if (endMs < endsAtMs && !finished.signal.aborted) {
        endsAtMs = endMs;
        clock.sleep(graceMs, finished.signal).then(
          () => cut.abort(new ConnectError("the server is shutting down and cannot wait any longer", Code.Unavailable)),
          () => {}, // the calls ended before
        );
        void drain?.(graceMs); // whoever began it waits for it
      }
      result ??= run(steps);
      return result;
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
