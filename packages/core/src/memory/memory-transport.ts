import type { DescMethod, DescMethodStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import { Code, ConnectError, type StreamResponse, type Transport, type UnaryResponse } from "@connectrpc/connect";
import { DEFAULT_MAX_MESSAGE_BYTES } from "../wire/call-transport-options.ts";
import { checkDirectCallOptions, type DirectCallOptions } from "../wire/direct-endpoint.ts";
import { abortedBy, transportClosed } from "./call-ends.ts";
import { createInterceptedCalls, type PlainCalls } from "./intercepted-calls.ts";
import { createMethodEntry, type MethodEntry } from "./method-entry.ts";
import type { MethodTable } from "./method-table.ts";
import type { OpenCalls } from "./open-calls.ts";
import { callStream } from "./stream-call.ts";
import { callUnary, type UnaryCallRequest } from "./unary-call.ts";

/** Options of the client's side. The smaller limit of client and server counts. */
export type MemoryTransportOptions = Omit<DirectCallOptions, "clock">;

/** Calls to one server in memory. */
export interface MemoryTransport extends Transport, AsyncDisposable {
  /** Calls in flight, and later ones, fail with `canceled`. Idempotent. */
  close(): Promise<void>;
}

/** What a server lends to the transports that call it. */
export interface MemoryTransportHost {
  readonly methods: MethodTable;
  readonly calls: OpenCalls;
  readonly byReference: boolean;
  readonly maxMessageBytes: number;
  readonly maxResponseBytes: number;
  /** Why new calls are refused, if they are. */
  refusal(): ConnectError | undefined;
  /** Ends the calls of one owner. */
  cutAll(owner: object, error: ConnectError): void;
}

/** The client's side of a server in memory. */
export function createMemoryTransport(
  options: MemoryTransportOptions = {},
  host: MemoryTransportHost,
): MemoryTransport {
  const { interceptors = [], callTimeoutMs = 60_000, maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES } = options;
  checkDirectCallOptions(options);
  const owner = {};
  const entries = new Map<DescMethod, MethodEntry>();
  let closed = false;

  const entryOf = (method: DescMethod): MethodEntry => {
    const known = entries.get(method);
    if (known !== undefined) return known;
    const served = host.methods.find(method);
    if (served === undefined || served.method.methodKind !== method.methodKind) {
      throw new ConnectError(`${method.parent.typeName}.${method.name} is not implemented`, Code.Unimplemented);
    }
    const entry = createMethodEntry(method, served, {
      byReference: host.byReference,
      intercepted: interceptors.length > 0,
      clientBytes: maxMessageBytes,
      maxRequestBytes: host.maxMessageBytes,
      maxResponseBytes: host.maxResponseBytes,
    });
    entries.set(method, entry);
    return entry;
  };
  const checkOpen = (signal: AbortSignal | undefined): void => {
    if (closed) throw transportClosed();
    const refusal = host.refusal();
    if (refusal !== undefined) throw refusal;
    if (signal?.aborted) throw abortedBy(signal);
  };

  const callPlain = (request: UnaryCallRequest) => {
    checkOpen(request.signal);
    return callUnary(entryOf(request.method), request, host.calls);
  };
  const plain: PlainCalls = {
    unary: (method, { message, header, signal, timeoutMs, bounds }) =>
      callPlain({ method, message, header, signal, timeoutMs, bounds, owner }),
    stream(method, { messages, header, signal, timeoutMs, bounds }) {
      checkOpen(signal);
      return callStream(entryOf(method), { method, messages, header, signal, timeoutMs, bounds, owner }, host.calls);
    },
  };
  const intercepted =
    interceptors.length === 0 ? undefined : createInterceptedCalls(plain, interceptors, host.calls.deadlines);

  const transport: MemoryTransport = {
    unary(method, signal, timeoutMs, header, input, contextValues) {
      try {
        const request = {
          method: method as DescMethodUnary,
          message: input,
          header: header && new Headers(header),
          signal,
          timeoutMs: timeoutOf(timeoutMs ?? callTimeoutMs),
          contextValues,
          bounds: undefined,
          owner,
        };
        return (intercepted === undefined ? callPlain(request) : intercepted.unary(request.method, request)) as Promise<
          UnaryResponse<typeof method.input, typeof method.output>
        >;
      } catch (reason) {
        return Promise.reject(ConnectError.from(reason));
      }
    },
    stream(method, signal, timeoutMs, header, input, contextValues) {
      try {
        const request = {
          messages: input,
          header: header && new Headers(header),
          signal,
          timeoutMs: timeoutOf(timeoutMs ?? 0),
          contextValues,
        };
        return (intercepted ?? plain).stream(method as DescMethodStreaming, request) as Promise<
          StreamResponse<typeof method.input, typeof method.output>
        >;
      } catch (reason) {
        return Promise.reject(ConnectError.from(reason));
      }
    },
    close() {
      closed = true;
      host.cutAll(owner, transportClosed());
      return Promise.resolve();
    },
    [Symbol.asyncDispose]: () => transport.close(),
  };
  return transport;
}

/** As with Connect's transports, 0 and less mean none. */
function timeoutOf(ms: number): number | undefined {
  return ms > 0 ? ms : undefined;
}
