import type { HandlerContext, Interceptor } from "@connectrpc/connect";
import type { CallContext } from "./call-context.ts";

export type NextFn = Parameters<Interceptor>[0];

/** The context of a handler behind interceptors, which may have replaced parts of the request. */
export function interceptedContext(context: CallContext, request: Parameters<NextFn>[0]): HandlerContext {
  return {
    service: request.service,
    method: context.method,
    url: context.url,
    requestMethod: context.requestMethod,
    protocolName: context.protocolName,
    timeoutMs: context.timeoutMs,
    signal: request.signal,
    requestHeader: request.header,
    values: request.contextValues,
    responseHeader: context.responseHeader,
    responseTrailer: context.responseTrailer,
  };
}
