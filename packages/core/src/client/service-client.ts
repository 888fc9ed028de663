import type { DescMethodBiDiStreaming, DescMethodServerStreaming, DescService } from "@bufbuild/protobuf";
import type { CallOptions, Client, Transport } from "@connectrpc/connect";
import { Code, ConnectError, createClient, makeAnyClient } from "@connectrpc/connect";

type StreamCall = (request: unknown, options?: CallOptions) => AsyncIterable<unknown>;

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
  const inner = createClient(service, observed(transport));
  const calls = new Map<string, StreamCall>();
  for (const [name, call] of Object.entries(inner)) calls.set(name, call as StreamCall);
  return makeAnyClient(service, (method) => {
    const call = calls.get(method.localName);
    if (call === undefined) return null;
    return respondsWithStream(method) ? endedByReader(call) : call;
  }) as Client<Service>;
}

/** Keeps the failure of a stream that nobody reads from being an unhandled rejection; whoever reads still gets it. */
function observed(transport: Transport): Transport {
  return {
    unary: (...call) => transport.unary(...call),
    stream(...call) {
      const response = transport.stream(...call);
      response.catch(() => {});
      return response;
    },
  };
}

function respondsWithStream(method: {
  methodKind: string;
}): method is DescMethodServerStreaming | DescMethodBiDiStreaming {
  return method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
}

function endedByReader(call: StreamCall): StreamCall {
  return (request, options) => {
    const reader = new AbortController();
    const signal = options?.signal ? AbortSignal.any([options.signal, reader.signal]) : reader.signal;
    const messages = call(request, { ...options, signal })[Symbol.asyncIterator]();
    const end = (): Promise<IteratorResult<unknown>> => {
      reader.abort(readerLeft);
      return Promise.resolve({ done: true, value: undefined });
    };
    const iterator: AsyncIterableIterator<unknown> = {
      [Symbol.asyncIterator]: () => iterator,
      next: () => messages.next(),
      return: end,
      throw: async (reason) => {
        await end();
        throw reason;
      },
    };
    return iterator;
  };
}

/**
 * One constant reason: an abort without one makes an exception with a stack each time. A ConnectError, since HTTP/2 tells
 * the server CANCEL only for its code.
 */
const readerLeft = new ConnectError("the reader left the stream", Code.Canceled);
