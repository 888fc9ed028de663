import type {
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodStreaming,
  DescMethodUnary,
  DescService,
  Message,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext, type Transport } from "@connectrpc/connect";
import { mergeNonProtocolHeaders } from "@connectrpc/connect/protocol";

export interface ForwardedCalls {
  readonly transport: Transport;
  /** Hears what a call failed with, before its caller does. */
  onError(error: ConnectError, context: HandlerContext): void;
  /** Ends a stream before its time, with the error that it aborts with. */
  cutOf(context: HandlerContext): AbortSignal | undefined;
}

/**
 * Serves a service by passing every call on, of all four kinds: messages one by one as they are asked for, headers,
 * trailers, errors with their details, the deadline and the end of the call.
 */
export function forwardCalls(router: ConnectRouter, service: DescService, calls: ForwardedCalls): void {
  for (const method of service.methods) forwardMethod(router, method, calls);
}

function forwardMethod(router: ConnectRouter, method: DescMethod, { transport, onError, cutOf }: ForwardedCalls): void {
  const failed = (reason: unknown, context: HandlerContext): ConnectError => {
    const error = ConnectError.from(reason);
    onError(error, context);
    return ownError(error);
  };
  async function* answers(messages: AsyncIterable<Message>, context: HandlerContext): AsyncGenerator<Message> {
    try {
      const { signal: ended, timeoutMs, header } = passedOptions(context);
      const cut = cutOf(context);
      const signal = cut === undefined ? ended : AbortSignal.any([ended, cut]);
      const response = await transport.stream(method as DescMethodStreaming, signal, timeoutMs, header, messages);
      mergeNonProtocolHeaders(context.responseHeader, response.header);
      yield* response.message;
      mergeNonProtocolHeaders(context.responseTrailer, response.trailer);
    } catch (reason) {
      throw failed(reason, context);
    }
  }

  switch (method.methodKind) {
    case "unary":
      router.rpc(method as DescMethodUnary, async (message: Message, context) => {
        try {
          const { signal, timeoutMs, header } = passedOptions(context);
          const response = await transport.unary(method as DescMethodUnary, signal, timeoutMs, header, message);
          mergeNonProtocolHeaders(context.responseHeader, response.header);
          mergeNonProtocolHeaders(context.responseTrailer, response.trailer);
          return response.message;
        } catch (reason) {
          throw failed(reason, context);
        }
      });
      break;
    case "server_streaming":
      router.rpc(method as DescMethodServerStreaming, (message: Message, context) => answers(only(message), context));
      break;
    case "client_streaming":
      router.rpc(method as DescMethodClientStreaming, async (messages: AsyncIterable<Message>, context) => {
        let last: Message | undefined;
        // To its end: the trailers come after the message.
        for await (const message of answers(messages, context)) last = message;
        if (last === undefined) throw new ConnectError(`${method.name} gave no answer`, Code.Unimplemented);
        return last;
      });
      break;
    case "bidi_streaming":
      router.rpc(method as DescMethodBiDiStreaming, answers);
      break;
  }
}

/** Connect drops the metadata of an error that came over a wire: it takes it for another call's. */
function ownError(error: ConnectError): ConnectError {
  if (!error.isWireError) return error;
  const metadata = new Headers();
  mergeNonProtocolHeaders(metadata, error.metadata);
  const own = new ConnectError(error.rawMessage, error.code, metadata, undefined, error);
  own.details = error.details;
  return own;
}

/** About a connection, or how bytes are written on it: nothing to a plugin that gets messages. */
const notForMessages = [
  "accept",
  "accept-encoding",
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
];

function passedOptions(context: HandlerContext): { signal: AbortSignal; timeoutMs: number; header: Headers } {
  const header = new Headers();
  mergeNonProtocolHeaders(header, context.requestHeader);
  for (const name of notForMessages) header.delete(name);
  // 0: none. If it is not given, calls of one message get the default of the transport.
  return { signal: context.signal, timeoutMs: context.timeoutMs() ?? 0, header };
}

async function* only(message: Message): AsyncGenerator<Message> {
  yield message;
}
