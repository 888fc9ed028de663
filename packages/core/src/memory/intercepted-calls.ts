import {
  create,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type Message,
} from "@bufbuild/protobuf";
import type {
  ContextValues,
  Interceptor,
  StreamRequest,
  StreamResponse,
  UnaryRequest,
  UnaryResponse,
} from "@connectrpc/connect";
import { createMethodUrl } from "@connectrpc/connect/protocol";
import { parseTimeout } from "@connectrpc/connect/protocol-connect";
import type { CallBounds } from "./call.ts";
import { callerLeft, callSucceeded } from "./call-ends.ts";
import type { Deadlines } from "./deadlines.ts";
import { InterceptedCall } from "./intercepted-call.ts";
import type { NextFn } from "./intercepted-context.ts";
import { InterceptedRequest } from "./intercepted-request.ts";
import { leaveIterator } from "./request-source.ts";

interface CallRequest {
  readonly header: Headers | undefined;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  readonly contextValues?: ContextValues | undefined;
  readonly bounds?: CallBounds | undefined;
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
 * Runs calls through the interceptors of the client. What an interceptor makes of a request travels: its message, headers,
 * signal and the time-out in its headers. A request that is passed on as it came costs nothing of that: see
 * `InterceptedCall`.
 *
 * The chain is built once per transport. Connect builds it for each call, which its type does not promise: an interceptor
 * that keeps something of one call has to keep it inside `(request) => …`, as its documentation has it.
 */
export function createInterceptedCalls(
  inner: PlainCalls,
  interceptors: readonly Interceptor[],
  deadlines: Deadlines,
): PlainCalls {
  const terminal: NextFn = (request) => {
    try {
      const facts = factsOf(request);
      return request.stream
        ? inner.stream(request.method, { ...facts, messages: request.message })
        : inner.unary(request.method, { ...facts, message: request.message });
    } catch (reason) {
      return Promise.reject(reason);
    }
  };
  const chain = interceptors.reduceRight((next, interceptor) => interceptor(next), terminal);
  const urls = new Map<DescMethod, string>();
  const urlOf = (method: DescMethod): string => {
    const known = urls.get(method);
    if (known !== undefined) return known;
    const url = createMethodUrl("http://localhost", method);
    urls.set(method, url);
    return url;
  };
  const watch = () => deadlines.watch();

  return {
    unary(method, request) {
      const { header, signal, timeoutMs, contextValues } = request;
      const call = new InterceptedCall({ method, header, signal, timeoutMs }, deadlines);
      let response: ReturnType<NextFn>;
      try {
        const message = create(method.input, request.message as Message);
        response = chain(
          new InterceptedRequest(call, urlOf(method), { stream: false, message, contextValues }) as UnaryRequest,
        );
      } catch (reason) {
        return Promise.reject(call.fail(reason));
      }
      if (!call.passedOn) void now.then(watch);
      return response.then(
        (answer) => {
          call.end(callSucceeded);
          return answer as UnaryResponse;
        },
        (reason: unknown) => {
          throw call.fail(reason);
        },
      );
    },
    async stream(method, request) {
      const { header, signal, timeoutMs, contextValues } = request;
      const call = new InterceptedCall({ method, header, signal, timeoutMs }, deadlines);
      void now.then(watch);
      try {
        const message = created(method, request.messages);
        const response = await chain(
          new InterceptedRequest(call, urlOf(method), { stream: true, message, contextValues }) as StreamRequest,
        );
        const stream = response as StreamResponse;
        return { ...stream, message: boundMessages(stream.message, call) };
      } catch (reason) {
        const error = call.fail(reason);
        void leaveIterator(request.messages[Symbol.asyncIterator](), error); // an interceptor may not have passed it on
        throw error;
      }
    },
  };
}

const now = Promise.resolve();

/** What of a request travels. @throws {ConnectError} if its call has ended, or its time-out cannot be read. */
function factsOf(request: Parameters<NextFn>[0]): CallRequest {
  const call = InterceptedRequest.callOf(request);
  call?.checkOpen();
  const untouched = call !== undefined && call.touchedHeader === undefined;
  if (untouched) return { header: call.callerHeader, signal: undefined, timeoutMs: undefined, bounds: call };
  const { timeoutMs, error } = parseTimeout(request.header.get("connect-timeout-ms"), Number.MAX_SAFE_INTEGER);
  if (error !== undefined) throw error;
  return { header: new Headers(request.header), signal: call ? undefined : request.signal, timeoutMs, bounds: call };
}

function boundMessages(messages: AsyncIterable<Message>, call: InterceptedCall): AsyncIterableIterator<Message> {
  const iterator = messages[Symbol.asyncIterator]();
  let over = false;
  const arrived = (result: IteratorResult<Message>): IteratorResult<Message> => {
    if (result.done) {
      over = true;
      call.end(callSucceeded);
    }
    return result;
  };
  const failed = (reason: unknown): never => {
    over = true;
    throw call.fail(reason);
  };
  const bounded: AsyncIterableIterator<Message> = {
    [Symbol.asyncIterator]: () => bounded,
    next() {
      if (over) return Promise.resolve({ done: true, value: undefined });
      try {
        call.checkOpen();
        return iterator.next().then(arrived, failed);
      } catch (reason) {
        return Promise.reject(reason).catch(failed);
      }
    },
    async return() {
      over = true;
      call.end(callerLeft);
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
