import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { type ContextKey, createContextKey, type StreamRequest } from "@connectrpc/connect";

/** The messages of a request stream, from the beginning. */
export type RequestSource = () => AsyncIterable<MessageInitShape<DescMessage>>;

/**
 * With this context value a caller says how to send the messages of a client-streaming or bidirectional call once more;
 * without it such a call is never tried again. The first attempt takes the messages that were passed to the call, each
 * later one calls the function. Interceptors outside of `retry` do not see the messages of later attempts.
 * @example
 * const contextValues = createContextValues().set(requestSourceKey, () => readChunks(file));
 * await client.upload(readChunks(file), { contextValues });
 */
export const requestSourceKey: ContextKey<RequestSource | undefined> = createContextKey<RequestSource | undefined>(
  undefined,
  { description: "how to send the messages of a request stream once more" },
);

/** The messages for an attempt, by its number; undefined if they can be sent only once. */
export function replayableMessages(
  request: StreamRequest,
): ((attempt: number) => StreamRequest["message"]) | undefined {
  if (request.method.methodKind === "server_streaming") {
    const messages = repeatFirst(request.message);
    return () => messages;
  }
  const source = request.contextValues.get(requestSourceKey);
  if (source === undefined) return undefined;
  return (attempt) => (attempt === 1 ? request.message : complete(request.method.input, source()));
}

/**
 * Remembers the one message that a server-streaming call has, for each new reader; what follows is the source's end, or
 * its error. Readers cannot close the source, for the next attempt needs it: it is closed with the call.
 */
function repeatFirst<T>(messages: AsyncIterable<T>): AsyncIterable<T> {
  let iterator: AsyncIterator<T> | undefined;
  let first: Promise<IteratorResult<T>> | undefined;
  return {
    [Symbol.asyncIterator]() {
      let state: "new" | "begun" | "left" = "new";
      return {
        async next() {
          if (state === "left") return { done: true, value: undefined };
          iterator ??= messages[Symbol.asyncIterator]();
          first ??= iterator.next();
          if (state === "begun") return iterator.next();
          state = "begun";
          return first;
        },
        // Connect asks for both.
        async return() {
          state = "left";
          return { done: true, value: undefined };
        },
        async throw(reason?: unknown) {
          state = "left";
          throw reason;
        },
      };
    },
  };
}

async function* complete(desc: DescMessage, messages: AsyncIterable<MessageInitShape<DescMessage>>) {
  for await (const message of messages) yield create(desc, message);
}
