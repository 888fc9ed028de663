import { create, type DescMethodUnary, type DescService, type Message } from "@bufbuild/protobuf";
import { ConnectError, type UnaryResponse } from "@connectrpc/connect";
import { arrivedError } from "./arrived-error.ts";
import { Call, type CallBounds, type OpenCalls } from "./call.ts";
import { CallContext, type CallSurroundings } from "./call-context.ts";
import { callSucceeded } from "./call-ends.ts";
import { ReceiveLimitError } from "./crossing.ts";
import { interceptedContext, type NextFn } from "./intercepted-context.ts";
import type { MethodEntry } from "./method-entry.ts";

export interface UnaryCallRequest extends CallBounds {
  readonly method: DescMethodUnary;
  readonly message: unknown;
  readonly header: Headers | undefined;
}

/** @throws {ConnectError} at once, for a message that cannot be sent. */
export function callUnary(
  entry: MethodEntry,
  request: UnaryCallRequest,
  calls: OpenCalls & CallSurroundings,
): Promise<UnaryResponse> {
  const context = new CallContext(entry, request, calls);
  let message: Message;
  try {
    message = entry.request(request.message);
  } catch (reason) {
    // The refusal of the server arrives from there.
    throw ConnectError.from(reason).cause instanceof ReceiveLimitError ? arrivedError(reason, context) : reason;
  }
  return new Promise((resolve, reject) => {
    const call = new Call(calls, context, request, reject);
    const { method } = request;
    void run({ entry, method, context, message, call, resolve, reject });
  });
}

interface Run {
  readonly entry: MethodEntry;
  readonly method: DescMethodUnary;
  readonly context: CallContext;
  readonly message: Message;
  readonly call: Call;
  resolve(response: UnaryResponse): void;
  reject(reason: ConnectError): void;
}

/** Never rejects. */
async function run({ entry, method, context, message, call, resolve, reject }: Run): Promise<void> {
  try {
    // Always later: a handler must not run inside the stack of its caller. The caller may have gone by then.
    await undefined;
    const response = call.settled ? undefined : await answer(entry, method, context, message);
    call.handlerEnded();
    if (call.settle(callSucceeded) && response !== undefined) resolve(response);
  } catch (reason) {
    call.handlerEnded();
    if (call.settle(reason)) reject(arrivedError(reason, context));
  }
}

function answer(
  { served, response }: MethodEntry,
  method: DescMethodUnary,
  context: CallContext,
  message: Message,
): UnaryResponse | Promise<UnaryResponse> {
  if (served.requestGate !== undefined || served.interceptors.length > 0) {
    return answerIntercepted({ served, response }, method, context, message);
  }
  const output = served.handler(message, context);
  if (isThenable(output)) {
    return Promise.resolve(output).then((made) => new MemoryUnaryResponse(method, response(made), context));
  }
  return new MemoryUnaryResponse(method, response(output), context);
}

function isThenable(output: unknown): output is PromiseLike<unknown> {
  return typeof output === "object" && output !== null && "then" in output && typeof output.then === "function";
}

async function answerIntercepted(
  { served, response }: Pick<MethodEntry, "served" | "response">,
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

/** A response whose headers come to be when they are looked at, unless the handler has set some. See `CallContext`. */
class MemoryUnaryResponse implements UnaryResponse {
  readonly stream = false;
  readonly method: DescMethodUnary;
  readonly message: Message;
  #header: Headers | undefined;
  #trailer: Headers | undefined;

  constructor(method: DescMethodUnary, message: Message, { touchedHeader, touchedTrailer }: CallContext) {
    this.method = method;
    this.message = message;
    if (touchedHeader !== undefined) this.#header = new Headers(touchedHeader);
    if (touchedTrailer !== undefined) this.#trailer = new Headers(touchedTrailer);
  }

  get service(): DescService {
    return this.method.parent;
  }

  get header(): Headers {
    this.#header ??= new Headers({ "content-type": "application/proto" });
    return this.#header;
  }

  get trailer(): Headers {
    this.#trailer ??= new Headers();
    return this.#trailer;
  }
}
