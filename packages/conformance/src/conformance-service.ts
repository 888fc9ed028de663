import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { systemClock } from "@cpg/resilience";
import {
  BidiStreamRequestSchema,
  ClientStreamRequestSchema,
  type ConformancePayload,
  type ConformancePayload_RequestInfo,
  ConformancePayload_RequestInfoSchema,
  ConformancePayloadSchema,
  type ConformanceService,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  type StreamResponseDefinition,
  type Error as SuiteError,
  UnaryRequestSchema,
  type UnaryResponseDefinition,
} from "./gen/connectrpc/conformance/v1/service_pb.ts";
import { appendSuiteHeaders, fromSuiteError, toSuiteHeaders } from "./translation.ts";

/**
 * The service that the suite calls. Each request says how to answer it; the answer also tells what was received, in the
 * first payload or, when there is none, in a detail of the error.
 */
export const conformanceService: ServiceImpl<typeof ConformanceService> = {
  unary: (request, context) => answerUnary(request.responseDefinition, [pack(UnaryRequestSchema, request)], context),
  idempotentUnary: (request, context) =>
    answerUnary(request.responseDefinition, [pack(IdempotentUnaryRequestSchema, request)], context),
  async clientStream(requests, context) {
    const received: Any[] = [];
    let definition: UnaryResponseDefinition | undefined;
    for await (const request of requests) {
      if (received.length === 0) definition = request.responseDefinition;
      received.push(pack(ClientStreamRequestSchema, request));
    }
    return answerUnary(definition, received, context);
  },
  async *serverStream(request, context) {
    const answers = createAnswers(request.responseDefinition, context);
    const received = [pack(ServerStreamRequestSchema, request)];
    while (answers.remain()) yield { payload: await answers.next(received) };
    answers.end(received);
  },
  async *bidiStream(requests, context) {
    let answers = createAnswers(undefined, context);
    let received: Any[] = [];
    let fullDuplex: boolean | undefined;
    for await (const request of requests) {
      if (fullDuplex === undefined) {
        // Only the first request says how to answer.
        answers = createAnswers(request.responseDefinition, context);
        fullDuplex = request.fullDuplex;
      }
      received.push(pack(BidiStreamRequestSchema, request));
      if (!fullDuplex) continue;
      if (!answers.remain()) break;
      yield { payload: await answers.next(received, true) };
      received = [];
    }
    while (answers.remain()) yield { payload: await answers.next(received) };
    answers.end(received);
  },
  unimplemented() {
    throw new ConnectError("this RPC is not implemented, as the suite wants it", Code.Unimplemented);
  },
};

async function answerUnary(definition: UnaryResponseDefinition | undefined, received: Any[], context: HandlerContext) {
  appendSuiteHeaders(context.responseHeader, definition?.responseHeaders ?? []);
  appendSuiteHeaders(context.responseTrailer, definition?.responseTrailers ?? []);
  const info = requestInfo(received, context);
  await pause(definition?.responseDelayMs);
  if (definition?.response.case === "error") throw withInfo(definition.response.value, info);
  const data = definition?.response.value ?? new Uint8Array();
  return { payload: create(ConformancePayloadSchema, { requestInfo: info, data }) };
}

interface Answers {
  remain(): boolean;
  /** The next payload; with what was received if it is the first or `always`. */
  next(received: Any[], always?: boolean): Promise<ConformancePayload>;
  /** Throws the error that the stream shall end with, if there is one. */
  end(received: Any[]): void;
}

function createAnswers(definition: StreamResponseDefinition | undefined, context: HandlerContext): Answers {
  appendSuiteHeaders(context.responseHeader, definition?.responseHeaders ?? []);
  appendSuiteHeaders(context.responseTrailer, definition?.responseTrailers ?? []);
  const responses = definition?.responseData ?? [];
  let sent = 0;
  return {
    remain: () => sent < responses.length,
    async next(received, always = false) {
      await pause(definition?.responseDelayMs);
      const data = responses[sent] ?? new Uint8Array();
      const info = always || sent === 0 ? { requestInfo: requestInfo(received, context) } : {};
      sent++;
      return create(ConformancePayloadSchema, { ...info, data });
    },
    end(received) {
      if (definition?.error === undefined) return;
      throw responses.length === 0
        ? withInfo(definition.error, requestInfo(received, context))
        : fromSuiteError(definition.error);
    },
  };
}

function requestInfo(requests: Any[], context: HandlerContext): ConformancePayload_RequestInfo {
  const timeoutMs = context.timeoutMs();
  return create(ConformancePayload_RequestInfoSchema, {
    requestHeaders: toSuiteHeaders(context.requestHeader),
    requests,
    ...(timeoutMs === undefined ? {} : { timeoutMs: BigInt(timeoutMs) }),
  });
}

function withInfo(error: SuiteError, info: ConformancePayload_RequestInfo) {
  const detail = anyPack(ConformancePayload_RequestInfoSchema, info);
  return fromSuiteError({ ...error, details: [...error.details, detail] });
}

function pack<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>): Any {
  return anyPack(desc, message);
}

async function pause(ms = 0): Promise<void> {
  if (ms > 0) await systemClock.sleep(ms);
}
