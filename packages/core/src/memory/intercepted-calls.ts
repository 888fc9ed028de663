import {
  create,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type Message,
} from "@bufbuild/protobuf";
import {
  ConnectError,
  type ContextValues,
  createContextValues,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type UnaryResponse,
} from "@connectrpc/connect";
import { createMethodUrl } from "@connectrpc/connect/protocol";
import { parseTimeout, requestHeader } from "@connectrpc/connect/protocol-connect";
import { abortedBy, callerLeft, callSucceeded, deadlineExceeded } from "./call-ends.ts";
import type { Deadlines } from "./deadlines.ts";
import type { NextFn } from "./intercepted-context.ts";
import { leaveIterator } from "./request-source.ts";

interface CallRequest {
  readonly header: Headers | undefined;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  readonly contextValues?: ContextValues | undefined;
}

/** Calls as they travel, inside the interceptors of the client. */
export interface PlainCalls {
  unary(method: DescMethodUnary, request: CallRequest & { readonly message: unknown }): Promise<UnaryResponse>;
  stream(
    method: DescMethodStreaming,
    request: CallRequest & { readonly messages: AsyncIterable<unknown> },
  ): Promise<StreamResponse>;
}

/**
 * Runs calls through the interceptors of the client, in a chain that is built once. What an interceptor makes of a request
 * travels: its message, headers, signal and the time-out in its headers.
 */
export function createInterceptedCalls(
  inner: PlainCalls,
  interceptors: readonly Interceptor[],
  deadlines: Deadlines,
): PlainCalls {
  const terminal: NextFn = async (request) => {
    const { signal } = request;
    const { timeoutMs, error } = parseTimeout(request.header.get("connect-timeout-ms"), Number.MAX_SAFE_INTEGER);
    if (error !== undefined) throw error;
    const common = { header: new Headers(request.header), signal, timeoutMs };
    return request.stream
      ? inner.stream(request.method, { ...common, messages: request.message })
      : inner.unary(request.method, { ...common, message: request.message });
  };
  const chain = interceptors.reduceRight((next, interceptor) => interceptor(next), terminal);

  return {
    async unary(method, request) {
      const bounds = boundCall(request, deadlines);
      try {
        const response = await chain({
          ...common(method, request, bounds.signal),
          stream: false,
          method,
          message: create(method.input, request.message as Message),
        });
        bounds.end(callSucceeded);
        return response as UnaryResponse;
      } catch (reason) {
        throw bounds.fail(reason);
      }
    },
    async stream(method, request) {
      const bounds = boundCall(request, deadlines);
      try {
        const response = await chain({
          ...common(method, request, bounds.signal),
          stream: true,
          method,
          message: created(method, request.messages),
        });
        const stream = response as StreamResponse;
        return { ...stream, message: boundMessages(stream.message, bounds) };
      } catch (reason) {
        const error = bounds.fail(reason);
        void leaveIterator(request.messages[Symbol.asyncIterator](), error); // an interceptor may not have passed it on
        throw error;
      }
    },
  };
}

function common(method: DescMethod, { header, timeoutMs, contextValues }: CallRequest, signal: AbortSignal) {
  return {
    service: method.parent,
    requestMethod: "POST",
    url: createMethodUrl("http://localhost", method),
    header: requestHeader(method.methodKind, true, timeoutMs, header, true),
    contextValues: contextValues ?? createContextValues(),
    signal,
  };
}

interface Bounds {
  readonly signal: AbortSignal;
  end(reason: unknown): void;
  /** Ends the call. @returns the error to throw: what ended it, or `reason`. */
  fail(reason: unknown): ConnectError;
}

/** The signal that interceptors see: it aborts with the caller's, at the deadline, and when the call has ended. */
function boundCall({ signal, timeoutMs }: CallRequest, deadlines: Deadlines): Bounds {
  const controller = new AbortController();
  const onAbort = () => signal && bounds.end(signal.reason);
  if (signal?.aborted) throw abortedBy(signal);
  signal?.addEventListener("abort", onAbort, { once: true });
  const stopDeadline =
    timeoutMs === undefined ? undefined : deadlines.start(timeoutMs, () => bounds.end(deadlineExceeded()));
  const bounds: Bounds = {
    signal: controller.signal,
    end(reason) {
      if (controller.signal.aborted) return;
      signal?.removeEventListener("abort", onAbort);
      stopDeadline?.();
      controller.abort(reason);
    },
    fail(reason) {
      const error = controller.signal.aborted ? abortedBy(controller.signal) : ConnectError.from(reason);
      bounds.end(error);
      return error;
    },
  };
  return bounds;
}

function boundMessages(messages: AsyncIterable<Message>, bounds: Bounds): AsyncIterableIterator<Message> {
  const iterator = messages[Symbol.asyncIterator]();
  let over = false;
  const bounded: AsyncIterableIterator<Message> = {
    [Symbol.asyncIterator]: () => bounded,
    async next() {
      if (over) return { done: true, value: undefined };
      try {
        if (bounds.signal.aborted) throw bounds.signal.reason;
        const result = await iterator.next();
        if (result.done) {
          over = true;
          bounds.end(callSucceeded);
        }
        return result;
      } catch (reason) {
        over = true;
        throw bounds.fail(reason);
      }
    },
    async return() {
      over = true;
      bounds.end(callerLeft);
      await iterator.return?.();
      return { done: true, value: undefined };
    },
  };
  return bounded;
}

/** Whole messages for interceptors, from what the caller gives; its end and its errors pass through. */
function created({ input }: DescMethodStreaming, messages: AsyncIterable<unknown>): StreamRequest["message"] {
  return {
    [Symbol.asyncIterator]() {
      const iterator = messages[Symbol.asyncIterator]();
      const make = (result: IteratorResult<unknown>): IteratorResult<Message> =>
        result.done ? { done: true, value: undefined } : { done: false, value: create(input, result.value as Message) };
      const wrapped: AsyncIterator<Message> = { next: async () => make(await iterator.next()) };
      if (iterator.throw)
        wrapped.throw = async (reason) => make((await iterator.throw?.(reason)) ?? { done: true, value: undefined });
      if (iterator.return)
        wrapped.return = async () => make((await iterator.return?.()) ?? { done: true, value: undefined });
      return wrapped;
    },
  };
}
