import { lookup } from "node:dns/promises";
import { Code } from "@connectrpc/connect";
import { retryLater } from "@cpg/resilience";
import { createProbeTurns } from "../health/probe-turns.ts";

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
  const turns = createProbeTurns(maxRunning);
  let waiting = 0;
  return async (name, signal) => {
    if (waiting >= maxWaiting) {
      throw retryLater("too many names wait to be resolved", Code.ResourceExhausted, retryAfterMs);
    }
    waiting++;
    const endTurn = await turns.take(signal).finally(() => waiting--);
    const answer = (async () => lookUp(name))().finally(endTurn);
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
