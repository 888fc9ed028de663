import { lookup } from "node:dns/promises";
import { Code } from "@connectrpc/connect";
import { retryLater } from "@cpg/resilience";

/** Resolves a name to its IP addresses, the ones to prefer first. */
export type LookUp = (name: string) => Promise<readonly string[]>;

/** Looks names up, a few at a time. Rejects with the reason of `signal` once that aborts. */
export type BoundedLookUp = (name: string, signal: AbortSignal) => Promise<readonly string[]>;

/** As everything on this machine resolves names, /etc/hosts included. */
export const systemLookUp: LookUp = async (name) => {
  const found = await lookup(name, { all: true });
  return found.map(({ address }) => address);
};

/** Node's own threads resolve names, four in all, and files wait for the same ones. */
const maxRunning = 2;
const maxWaiting = 1_000;
const retryAfterMs = 1_000;

/**
 * A look-up that nobody waits for any more holds its place until it has an answer: it cannot be stopped.
 * @throws {ConnectError} `resource_exhausted`, with a retry delay, when too many wait.
 */
export function boundLookUp(lookUp: LookUp): BoundedLookUp {
  const waiting = new Set<() => void>();
  let running = 0;

  const leave = (): void => {
    const [longest] = waiting;
    if (longest === undefined) running--;
    else longest();
  };
  const enter = (signal: AbortSignal): Promise<void> | undefined => {
    if (running < maxRunning) {
      running++;
      return undefined;
    }
    if (waiting.size >= maxWaiting) {
      throw retryLater("too many names wait to be resolved", Code.ResourceExhausted, retryAfterMs);
    }
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        waiting.delete(go);
        signal.removeEventListener("abort", onAbort);
      };
      const go = (): void => {
        stop();
        resolve();
      };
      const onAbort = (): void => {
        stop();
        reject(signal.reason);
      };
      waiting.add(go);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  };

  return async (name, signal) => {
    signal.throwIfAborted();
    await enter(signal);
    const answer = (async () => lookUp(name))().finally(leave);
    const { promise: cut, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      return await Promise.race([answer, cut]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  };
}
