import type { StreamResponse, UnaryResponse } from "@connectrpc/connect";

type Messages = StreamResponse["message"];
type Message = Messages extends AsyncIterable<infer M> ? M : never;

/**
 * Waits for the first message of a stream, or its end: an error before that is still an error of the attempt. The
 * response has the headers, trailers and all messages of this attempt.
 */
export async function awaitAnswer(response: UnaryResponse | StreamResponse): Promise<UnaryResponse | StreamResponse> {
  if (!response.stream) return response;
  const iterator = response.message[Symbol.asyncIterator]();
  const first = await iterator.next();
  return { ...response, message: beginningWith(first, iterator) };
}

function beginningWith(first: IteratorResult<Message>, iterator: AsyncIterator<Message>): Messages {
  let held: IteratorResult<Message> | undefined = first;
  return once({
    next() {
      if (held === undefined) return iterator.next();
      const result = held;
      held = undefined;
      return Promise.resolve(result);
    },
    ...closing(iterator),
  });
}

/** Calls `onEnd` when the messages end, fail, or their reader leaves and says so. */
export function withEnd(messages: Messages, onEnd: () => void): Messages {
  const iterator = messages[Symbol.asyncIterator]();
  return once({
    async next() {
      try {
        const result = await iterator.next();
        if (result.done) onEnd();
        return result;
      } catch (reason) {
        onEnd();
        throw reason;
      }
    },
    ...closing(iterator, onEnd),
  });
}

/** `return` and `throw` of the iterator, if it has them. */
function closing(
  iterator: AsyncIterator<Message>,
  onEnd: () => void = () => {},
): Pick<AsyncIterator<Message>, "return" | "throw"> {
  return {
    async return(value?: unknown) {
      onEnd();
      return iterator.return === undefined ? { done: true, value } : await iterator.return(value);
    },
    async throw(reason?: unknown) {
      onEnd();
      if (iterator.throw === undefined) throw reason;
      return await iterator.throw(reason);
    },
  };
}

/** Messages that are there once, whoever reads them. */
function once(iterator: AsyncIterator<Message>): Messages {
  return { [Symbol.asyncIterator]: () => iterator };
}
