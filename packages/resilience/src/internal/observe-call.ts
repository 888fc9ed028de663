import {
  Code,
  ConnectError,
  type StreamRequest,
  type StreamResponse,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";

/** How a call ended. */
export type CallOutcome =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly error: ConnectError;
      /** The caller gave up: its signal was aborted as canceled, or it left the stream. Says nothing about the callee. */
      readonly cancelled: boolean;
    };

/** What an interceptor gets, and what it makes of it. */
export type Next = (request: UnaryRequest | StreamRequest) => Promise<UnaryResponse | StreamResponse>;

const succeeded: CallOutcome = { ok: true };

/**
 * Runs the call and tells once how it ended; the call itself is not changed, nor any error. `onSettled` runs before the
 * caller learns of the end, and must not throw.
 *
 * A unary call ends when its promise settles: after an abort too, so that work that goes on is not taken for ended.
 * A stream ends with whatever comes first: the last message was read, an error, the abort of the request's signal
 * (between two reads too, and also if nobody ever reads), or `return()`/`throw()` of its iterator. On a client, connect
 * 2.2 does not pass on that a reader left its loop: such a call ends when its signal aborts, and as a last resort when
 * the response is garbage collected, so nothing that depends on time may depend on it.
 * @param onAnswer called once when the first message of a stream was read.
 */
export function observeCall(
  next: Next,
  request: UnaryRequest | StreamRequest,
  onSettled: (outcome: CallOutcome) => void,
  onAnswer?: () => void,
): Promise<UnaryResponse | StreamResponse> {
  if (request.stream) return observeStream(next, request, onSettled, onAnswer);
  let call: Promise<UnaryResponse | StreamResponse>;
  try {
    call = next(request);
  } catch (reason) {
    onSettled(failedCall(reason, request.signal));
    return Promise.reject(reason);
  }
  // Not chained: the caller waits for `call` itself, one turn less, and these run first because they were there first.
  call.then(
    () => onSettled(succeeded),
    (reason: unknown) => onSettled(failedCall(reason, request.signal)),
  );
  return call;
}

/** The outcome of a call that failed with `reason`. Once its signal is aborted, that is why, as everywhere in Connect. */
export function failedCall(reason: unknown, signal: AbortSignal): CallOutcome {
  if (!signal.aborted) return { ok: false, error: ConnectError.from(reason), cancelled: false };
  const error = ConnectError.from(signal.reason, Code.Canceled);
  return { ok: false, error, cancelled: error.code === Code.Canceled };
}

/** Streams that nobody has a reference to any more. */
const forgotten = new FinalizationRegistry<() => void>((tell) => tell());

async function observeStream(
  next: Next,
  request: StreamRequest,
  onSettled: (outcome: CallOutcome) => void,
  onAnswer?: () => void,
): Promise<UnaryResponse | StreamResponse> {
  const { signal } = request;
  let settled = false;
  const settle = (outcome: CallOutcome) => {
    if (settled) return;
    settled = true;
    signal.removeEventListener("abort", onAbort);
    forgotten.unregister(settle);
    onSettled(outcome);
  };
  const onAbort = () => settle(failedCall(undefined, signal));
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    const response = await next(request);
    if (response.stream) {
      const watch: Watch = { signal, settle, answered: onAnswer };
      // Only the new messages and their iterators refer to `watch`, so it is collected when the reader is gone.
      if (!settled) forgotten.register(watch, () => settle(readerLeft("forgot")), settle);
      return { ...response, message: observeMessages(response.message, watch) };
    }
    settle(succeeded);
    return response;
  } catch (reason) {
    settle(failedCall(reason, signal));
    throw reason;
  }
}

interface Watch {
  readonly signal: AbortSignal;
  settle(outcome: CallOutcome): void;
  /** Until the first message. */
  answered: (() => void) | undefined;
}

function readerLeft(how: "left" | "forgot"): CallOutcome {
  return { ok: false, error: new ConnectError(`the reader ${how} the stream`, Code.Canceled), cancelled: true };
}

/** Not a generator: there, `return()` would wait until a pending `next()` settles. */
function observeMessages<T>(messages: AsyncIterable<T>, watch: Watch): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const inner = messages[Symbol.asyncIterator]();
      return {
        async next() {
          try {
            const result = await inner.next();
            if (result.done) {
              watch.settle(succeeded);
            } else {
              watch.answered?.();
              watch.answered = undefined;
            }
            return result;
          } catch (reason) {
            watch.settle(failedCall(reason, watch.signal));
            throw reason;
          }
        },
        async return(value?: unknown) {
          watch.settle(readerLeft("left"));
          return inner.return === undefined ? { done: true, value } : await inner.return(value);
        },
        async throw(reason?: unknown) {
          watch.settle(readerLeft("left"));
          if (inner.throw === undefined) throw reason;
          return await inner.throw(reason);
        },
      };
    },
  };
}
