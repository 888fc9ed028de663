import type { ConnectError, StreamRequest } from "@connectrpc/connect";
import { streamConsumed } from "./policy-interceptor-error.ts";
import { replayableMessages } from "./retry-source.ts";

type Messages = StreamRequest["message"];

/**
 * The messages for a run of a stream, by its number and the error of the run before it. If they can be sent only once, it
 * throws `streamConsumed` as soon as a run has read of them, or closed them.
 */
export function messagesForRuns(request: StreamRequest): (run: number, previous: ConnectError | undefined) => Messages {
  const replay = replayableMessages(request);
  if (replay !== undefined) return replay;
  let isConsumed = false;
  const messages = watchUse(request.message, () => {
    isConsumed = true;
  });
  return (_, previous) => {
    if (isConsumed) throw streamConsumed(previous);
    return messages;
  };
}

/** Calls `onUse` before the first thing that is done with an iterator of the messages. */
function watchUse(messages: Messages, onUse: () => void): Messages {
  return {
    [Symbol.asyncIterator]() {
      const iterator = messages[Symbol.asyncIterator]();
      return {
        next() {
          onUse();
          return iterator.next();
        },
        async return(value?: unknown) {
          onUse();
          return iterator.return === undefined ? { done: true, value } : await iterator.return(value);
        },
        async throw(reason?: unknown) {
          onUse();
          if (iterator.throw === undefined) throw reason;
          return await iterator.throw(reason);
        },
      };
    },
  };
}
