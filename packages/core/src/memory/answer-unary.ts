import { create, type DescMethodUnary, type Message } from "@bufbuild/protobuf";
import type { UnaryResponse } from "@connectrpc/connect";
import type { CallContext } from "./call-context.ts";
import { interceptedContext, type NextFn } from "./intercepted-context.ts";
import type { MethodEntry } from "./method-entry.ts";

/** Runs the gate, the interceptors and, inside them, the handler. */
export async function answerUnary(
  { served, response }: MethodEntry,
  method: DescMethodUnary,
  context: CallContext,
  message: Message,
): Promise<UnaryResponse> {
  if (served.requestGate !== undefined) await served.requestGate(context);
  const answered = await intercepted(served, context, message);
  return {
    stream: false,
    service: method.parent,
    method,
    message: response(answered.message),
    header: new Headers(answered.header),
    trailer: new Headers(answered.trailer),
  };
}

/** As Connect runs interceptors on a server: the chain is built per call, around this call's context. */
async function intercepted(
  { interceptors, handler, method }: MethodEntry["served"],
  context: CallContext,
  message: Message,
): Promise<UnaryResponse> {
  const unary = method as DescMethodUnary;
  const { requestMethod, url, service, signal, requestHeader, values, responseHeader, responseTrailer } = context;
  const terminal: NextFn = async (request) => ({
    stream: false,
    service,
    method: unary,
    message: create(unary.output, (await handler(request.message, interceptedContext(context, request))) as Message),
    header: responseHeader,
    trailer: responseTrailer,
  });
  const next = interceptors.reduceRight((inner, interceptor) => interceptor(inner), terminal);
  const response = await next({
    stream: false,
    service,
    method: unary,
    requestMethod,
    url,
    signal,
    header: requestHeader,
    contextValues: values,
    message,
  });
  return response as UnaryResponse;
}
