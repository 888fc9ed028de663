import type {
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  Message,
} from "@bufbuild/protobuf";
import type { CallOptions, Client, StreamResponse, Transport, UnaryResponse } from "@connectrpc/connect";
import { Code, ConnectError, createClient, makeAnyClient } from "@connectrpc/connect";
import { createAsyncIterable } from "@connectrpc/connect/protocol";

/**
 * A Connect client whose response streams end their call when the reader stops reading: leaving a `for await` loop
 * early cancels the call on the server. Connect's own client leaves it open.
 *
 * A stream starts its call at once, as Connect's does; one that nobody reads never raises an unhandled rejection.
 */
export function createServiceClient<Service extends DescService>(
  service: Service,
  transport: Transport,
): Client<Service> {
  const inner: object = createClient(service, transport);
  return makeAnyClient(service, (method) => {
    switch (method.methodKind) {
      case "unary":
        return unaryCall(method, transport);
      case "server_streaming":
        return (request: Message, options?: CallOptions) =>
          readStream(method, transport, createAsyncIterable([request]), options);
      case "bidi_streaming":
        return (requests: AsyncIterable<Message>, options?: CallOptions) =>
          readStream(method, transport, requests, options);
      default:
        return Reflect.get(inner, method.localName);
    }
  }) as Client<Service>;
}

function unaryCall(method: DescMethodUnary, transport: Transport) {
  const withOptions = async (request: Message, options: CallOptions): Promise<Message> => {
    const { signal, timeoutMs, headers, contextValues, onHeader, onTrailer } = options;
    const response = await transport.unary(method, signal, timeoutMs, headers, request, contextValues);
    onHeader?.(response.header);
    onTrailer?.(response.trailer);
    return response.message;
  };
  return (request: Message, options?: CallOptions): Promise<Message> => {
    if (options !== undefined) return withOptions(request, options);
    try {
      // Not awaited: a call in memory is hardly dearer than an asynchronous function around it.
      return transport.unary(method, undefined, undefined, undefined, request, undefined).then(messageOf);
    } catch (reason) {
      return Promise.reject(reason);
    }
  };
}

const messageOf = ({ message }: UnaryResponse): Message => message;

/**
 * Reads that overlap are served one after the other, as by a generator; a generator itself would cost four promises for
 * each message, and its `return` would wait for the message that is being read.
 */
function readStream(
  method: DescMethodServerStreaming | DescMethodBiDiStreaming,
  transport: Transport,
  requests: AsyncIterable<Message>,
  { signal, timeoutMs, headers, contextValues, onHeader, onTrailer }: CallOptions = {},
): AsyncIterableIterator<Message> {
  const reader = new AbortController();
  const either = signal ? AbortSignal.any([signal, reader.signal]) : reader.signal;
  const opening = transport.stream(method, either, timeoutMs, headers, requests, contextValues);
  opening.catch(() => {}); // whoever reads gets it
  let response: StreamResponse | undefined;
  let messages: AsyncIterator<Message> | undefined;
  let reading: Promise<IteratorResult<Message>> | undefined;
  let over = false;

  const arrived = (result: IteratorResult<Message>): IteratorResult<Message> => {
    reading = undefined;
    if (!result.done) return result;
    over = true;
    if (response !== undefined) onTrailer?.(response.trailer);
    return end;
  };
  const failed = (reason: unknown): never => {
    reading = undefined;
    over = true;
    throw reason;
  };
  const opened = (stream: StreamResponse): Promise<IteratorResult<Message>> => {
    response = stream;
    onHeader?.(stream.header);
    messages = stream.message[Symbol.asyncIterator]();
    return messages.next();
  };
  const next = (): Promise<IteratorResult<Message>> => {
    if (reading !== undefined) return reading.then(next, next);
    if (over) return Promise.resolve(end);
    try {
      reading = (messages === undefined ? opening.then(opened) : messages.next()).then(arrived, failed);
    } catch (reason) {
      reading = Promise.reject(reason).catch(failed);
    }
    return reading;
  };
  const leave = (): Promise<IteratorResult<Message>> => {
    reader.abort(readerLeft);
    return Promise.resolve(end);
  };
  const iterator: AsyncIterableIterator<Message> = {
    [Symbol.asyncIterator]: () => iterator,
    next,
    return: leave,
    throw: async (reason) => {
      await leave();
      throw reason;
    },
  };
  return iterator;
}

const end: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * One constant reason: an abort without one makes an exception with a stack each time. A ConnectError, since HTTP/2 tells
 * the server CANCEL only for its code.
 */
const readerLeft = new ConnectError("the reader left the stream", Code.Canceled);
