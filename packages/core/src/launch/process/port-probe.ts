import { connect } from "node:net";
import { type Clock, createBackoff } from "@cpg/resilience";

/**
 * Resolves when something accepts connections on this port of 127.0.0.1. Attempts begin 20 ms apart and slow down to
 * 250 ms. Rejects with the reason of `signal`, and only then.
 */
export async function portAccepts(port: number, clock: Clock, signal: AbortSignal): Promise<void> {
  const backoff = createBackoff({ initialMs: 20, maxMs: 250, factor: 1.5, jitter: "none" });
  while (!(await connects(port, signal))) await clock.sleep(backoff.next(), signal);
}

function connects(port: number, signal: AbortSignal): Promise<boolean> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const socket = connect({ host: "127.0.0.1", port });
  const onAbort = () => {
    socket.destroy();
    reject(signal.reason);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  socket.on("error", () => resolve(false));
  socket.once("connect", () => {
    // An attempt may meet itself where nobody listens: TCP's simultaneous open, when the system picks this very port.
    resolve(socket.localPort !== port);
    socket.destroy();
  });
  return promise.finally(() => signal.removeEventListener("abort", onAbort));
}
