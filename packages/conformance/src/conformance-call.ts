import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { type CallOptions, type Client, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createWritableIterable } from "@connectrpc/connect/protocol";
import { systemClock } from "@cpg/resilience";
import {
  type ClientCompatRequest,
  type ClientResponseResult,
  ClientResponseResultSchema,
} from "./gen/connectrpc/conformance/v1/client_compat_pb.ts";
import { StreamType } from "./gen/connectrpc/conformance/v1/config_pb.ts";
import {
  type BidiStreamRequest,
  BidiStreamRequestSchema,
  ClientStreamRequestSchema,
  type ConformancePayload,
  ConformancePayloadSchema,
  ConformanceService,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  UnaryRequestSchema,
  UnimplementedRequestSchema,
} from "./gen/connectrpc/conformance/v1/service_pb.ts";
import { appendSuiteHeaders, toSuiteError, toSuiteHeaders, unpack } from "./translation.ts";

/** One call under way: its description, what came of it so far, and when to cancel it. */
interface Call {
  readonly client: Client<typeof ConformanceService>;
  readonly request: ClientCompatRequest;
  readonly result: ClientResponseResult;
  readonly options: CallOptions;
  readonly abort: AbortController;
}

/** Makes the call that the runner describes, and tells what came of it. A failed call is a result, too. */
export async function makeConformanceCall(
  transport: Transport,
  request: ClientCompatRequest,
): Promise<ClientResponseResult> {
  const result = create(ClientResponseResultSchema);
  const abort = new AbortController();
  const options: CallOptions = {
    headers: appendSuiteHeaders(new Headers(), request.requestHeaders),
    signal: abort.signal,
    ...(request.timeoutMs === undefined ? {} : { timeoutMs: request.timeoutMs }),
    onHeader: (headers) => {
      result.responseHeaders = toSuiteHeaders(headers);
    },
    onTrailer: (trailers) => {
      result.responseTrailers = toSuiteHeaders(trailers);
    },
  };
  const run = calls[request.method ?? ""];
  if (run === undefined) throw new Error(`the suite has no method ${request.method}`);
  try {
    await run({ client: createClient(ConformanceService, transport), request, result, options, abort });
  } catch (reason) {
    const error = ConnectError.from(reason);
    result.error = toSuiteError(error);
    // An error does not tell its headers from its trailers.
    if (result.responseHeaders.length === 0) result.responseHeaders = toSuiteHeaders(error.metadata);
    result.responseTrailers = toSuiteHeaders(error.metadata);
  }
  return result;
}

const calls: Readonly<Record<string, (call: Call) => Promise<void>>> = {
  async Unary(call) {
    await pause(call.request.requestDelayMs);
    cancelAfterSend(call);
    const message = onlyMessage(call, UnaryRequestSchema);
    collect(call, (await call.client.unary(message, call.options)).payload);
  },
  async IdempotentUnary(call) {
    await pause(call.request.requestDelayMs);
    cancelAfterSend(call);
    const message = onlyMessage(call, IdempotentUnaryRequestSchema);
    collect(call, (await call.client.idempotentUnary(message, call.options)).payload);
  },
  async Unimplemented(call) {
    await call.client.unimplemented(onlyMessage(call, UnimplementedRequestSchema), call.options);
  },
  async ServerStream(call) {
    await pause(call.request.requestDelayMs);
    const responses = call.client.serverStream(onlyMessage(call, ServerStreamRequestSchema), call.options);
    cancelAfterSend(call);
    for await (const { payload } of responses) collect(call, payload);
  },
  async ClientStream(call) {
    const messages = async function* () {
      for (const message of allMessages(call, ClientStreamRequestSchema)) {
        await pause(call.request.requestDelayMs);
        yield message;
      }
      cancelInsteadOfClose(call);
      cancelAfterSend(call);
    };
    collect(call, (await call.client.clientStream(messages(), call.options)).payload);
  },
  async BidiStream(call) {
    const requests = createWritableIterable<BidiStreamRequest>();
    const responses = call.client.bidiStream(requests, call.options)[Symbol.asyncIterator]();
    const receive = async (): Promise<boolean> => {
      const next = await responses.next();
      if (!next.done) collect(call, next.value.payload);
      return !next.done;
    };
    for (const message of allMessages(call, BidiStreamRequestSchema)) {
      await pause(call.request.requestDelayMs);
      const written = requests.write(message);
      if (call.request.streamType === StreamType.FULL_DUPLEX_BIDI_STREAM) {
        // In memory a message has passed only when the handler wants another, after its answer has been read.
        written.catch(() => {}); // the answer tells, too
        await receive();
      } else {
        await written;
      }
    }
    cancelInsteadOfClose(call);
    requests.close();
    cancelAfterSend(call);
    while (await receive());
  },
};

function collect({ request, result, abort }: Call, payload: ConformancePayload | undefined): void {
  result.payloads.push(payload ?? create(ConformancePayloadSchema));
  const timing = request.cancel?.cancelTiming;
  if (timing?.case === "afterNumResponses" && timing.value === result.payloads.length) abort.abort();
}

function cancelInsteadOfClose({ request, abort }: Call): void {
  if (request.cancel?.cancelTiming.case === "beforeCloseSend") abort.abort();
}

function cancelAfterSend({ request, abort }: Call): void {
  const timing = request.cancel?.cancelTiming;
  if (timing?.case === "afterCloseSendMs") void pause(timing.value).then(() => abort.abort());
}

function* allMessages<Desc extends DescMessage>({ request }: Call, desc: Desc): Generator<MessageShape<Desc>> {
  for (const any of request.requestMessages) yield unpack(any, desc);
}

function onlyMessage<Desc extends DescMessage>(call: Call, desc: Desc): MessageShape<Desc> {
  const [message, ...others] = allMessages(call, desc);
  if (message === undefined || others.length > 0) throw new Error("expected one request message");
  return message;
}

async function pause(ms: number): Promise<void> {
  if (ms > 0) await systemClock.sleep(ms);
}
