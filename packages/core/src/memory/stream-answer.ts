import { create, type DescMethodStreaming, type Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type StreamRequest, type StreamResponse } from "@connectrpc/connect";
import type { CallContext } from "./call-context.ts";
import { interceptedContext, type NextFn } from "./intercepted-context.ts";
import type { ServedMethod } from "./method-entry.ts";

/** What a handler answers, as it makes it. Headers and trailers are there only if interceptors may have replaced them. */
export interface StreamAnswer {
  readonly messages: AsyncIterable<unknown>;
  readonly header?: Headers | undefined;
  readonly trailer?: Headers | undefined;
}

/** Runs the interceptors and, inside them, the handler. */
export async function answerStream(
  served: ServedMethod,
  context: CallContext,
  requests: AsyncIterable<Message>,
): Promise<StreamAnswer> {
  const { interceptors, method } = served;
  if (interceptors.length === 0) return { messages: await runHandler(served, requests, context) };
  const streaming = method as DescMethodStreaming;
  const { requestMethod, url, service, signal, requestHeader, values, responseHeader, responseTrailer } = context;
  const terminal: NextFn = async (request) => {
    const messages = (request as StreamRequest).message;
    const answers = await runHandler(served, messages, interceptedContext(context, request));
    return {
      stream: true,
      service,
      method: streaming,
      header: responseHeader,
      trailer: responseTrailer,
      message: created(streaming, answers),
    };
  };
  const next = interceptors.reduceRight((inner, interceptor) => interceptor(inner), terminal);
  const answer = await next({
    stream: true,
    service,
    method: streaming,
    requestMethod,
    url,
    signal,
    header: requestHeader,
    contextValues: values,
    message: requests,
  });
  const { message, header, trailer } = answer as StreamResponse;
  return { messages: message, header, trailer };
}

async function runHandler(
  { method, handler }: ServedMethod,
  requests: AsyncIterable<Message>,
  context: HandlerContext,
): Promise<AsyncIterable<unknown>> {
  switch (method.methodKind) {
    case "client_streaming":
      return once(() => handler(requests, context));
    case "server_streaming":
      return handler(await single(requests), context) as AsyncIterable<unknown>;
    default:
      return handler(requests, context) as AsyncIterable<unknown>;
  }
}

async function* once(answer: () => unknown): AsyncGenerator<unknown, void, void> {
  yield await answer();
}

async function single(requests: AsyncIterable<Message>): Promise<Message> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done) throw new ConnectError("protocol error: missing input message", Code.Unimplemented);
  const second = await iterator.next();
  if (!second.done) throw new ConnectError("protocol error: received extra input message", Code.Unimplemented);
  return first.value;
}

async function* created(
  { output }: DescMethodStreaming,
  messages: AsyncIterable<unknown>,
): AsyncGenerator<Message, void, void> {
  for await (const message of messages) yield create(output, message as Message);
}
