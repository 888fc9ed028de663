import { Code, ConnectError, type StreamResponse } from "@connectrpc/connect";
import type { Clock } from "../clock.ts";

/** Lasts until the signal aborts, or `maxMs` are over. Always fails. */
export async function stall(maxMs: number, clock: Clock, signal: AbortSignal): Promise<never> {
  try {
    await clock.sleep(maxMs, signal);
  } catch {
    throw ConnectError.from(signal.reason, Code.Canceled);
  }
  throw new ConnectError(`injected stall, given up after ${maxMs} ms`, Code.Unavailable);
}

/** So many of the messages, then a stall. A reader that leaves ends it. */
export function stallingMessages(
  messages: StreamResponse["message"],
  count: number,
  stallUntil: (signal: AbortSignal) => Promise<never>,
): StreamResponse["message"] {
  return {
    [Symbol.asyncIterator]() {
      const iterator = messages[Symbol.asyncIterator]();
      const left = new AbortController();
      let read = 0;
      const leave = () => left.abort(readerLeft);
      return {
        next() {
          if (left.signal.aborted) return Promise.resolve({ done: true, value: undefined });
          if (read++ < count) return iterator.next();
          return stallUntil(left.signal).catch((reason: unknown) => {
            if (left.signal.aborted) return { done: true, value: undefined };
            throw reason;
          });
        },
        async return(value?: unknown) {
          leave();
          return iterator.return === undefined ? { done: true, value } : await iterator.return(value);
        },
        async throw(reason?: unknown) {
          leave();
          if (iterator.throw === undefined) throw reason;
          return await iterator.throw(reason);
        },
      };
    },
  };
}

const readerLeft = new ConnectError("the reader left the stream", Code.Canceled);
