import type { StreamResponse, Transport } from "@connectrpc/connect";
import type { CallTransport } from "../wire/call-transport.ts";

/** A transport that can be taken out of use without harm to the calls in flight. */
export interface RetirableCalls extends CallTransport {
  /** Closes when the last call in flight has ended. A stream ends when it has been read to its end or was canceled. */
  retire(): void;
  /** Resolves when it is closed, whoever closed it. */
  readonly closed: Promise<void>;
}

export function createRetirableCalls(calls: CallTransport): RetirableCalls {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  let inFlight = 0;
  let retired = false;

  const close = (): Promise<void> => calls.close().finally(resolve);
  const closeWhenUnused = (): void => {
    if (retired && inFlight === 0) close().catch(() => {}); // nobody waits for it
  };
  const begin = (): (() => void) => {
    let over = false;
    inFlight++;
    return () => {
      if (over) return;
      over = true;
      inFlight--;
      closeWhenUnused();
    };
  };

  const transport: Transport = {
    async unary(...call) {
      const end = begin();
      try {
        return await calls.transport.unary(...call);
      } finally {
        end();
      }
    },
    async stream(method, signal, ...rest) {
      const end = begin();
      try {
        const response = await calls.transport.stream(method, signal, ...rest);
        return endingStream(response, end, signal);
      } catch (reason) {
        end();
        throw reason;
      }
    },
  };
  return {
    transport,
    httpVersion: calls.httpVersion,
    close,
    closed,
    retire() {
      retired = true;
      closeWhenUnused();
    },
  };
}

/** The response, with `end` called when its messages end or `signal` aborts. */
function endingStream<Response extends StreamResponse>(
  response: Response,
  end: () => void,
  signal: AbortSignal | undefined,
): Response {
  const over = (): void => {
    signal?.removeEventListener("abort", over);
    end();
  };
  if (signal?.aborted) over();
  else signal?.addEventListener("abort", over, { once: true });
  const messages = response.message[Symbol.asyncIterator]();
  const next = async () => {
    try {
      const result = await messages.next();
      if (result.done) over();
      return result;
    } catch (reason) {
      over();
      throw reason;
    }
  };
  const leave = async () => {
    over();
    return (await messages.return?.()) ?? { done: true as const, value: undefined };
  };
  return { ...response, message: { [Symbol.asyncIterator]: () => ({ next, return: leave }) } };
}
