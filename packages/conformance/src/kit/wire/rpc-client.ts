import type { DescMessage, DescMethod, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { frame, readFrames } from "./envelope.ts";
import type { HttpClient } from "./http-client.ts";
import { type HttpAnswer, type HttpExchange, type HttpHead, readWhole } from "./http-exchange.ts";
import { readConnectError, readEndOfStream, readForeignAnswer, readGrpcStatus } from "./read-error.ts";
import type { RpcAnswer } from "./rpc-answer.ts";
import { contentTypeOf, decodeMessage, encodeMessage, pathOf, plainFormat, type RpcFormat } from "./rpc-format.ts";

/** Where calls go. They end with the signal. */
export interface CallTarget {
  readonly http: HttpClient;
  readonly signal: AbortSignal;
}

export interface CallOptions {
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Default: Connect with JSON over HTTP/1.1. */
  readonly format?: RpcFormat | undefined;
  /** In front of the path. Default: nothing. */
  readonly prefix?: string | undefined;
  /** Default: that of the RPC. */
  readonly path?: string | undefined;
}

type Method<Input extends DescMessage, Output extends DescMessage> = DescMethod & {
  readonly input: Input;
  readonly output: Output;
};

/** One call with one message and one answer. @throws {Error} when there is no HTTP answer at all. */
export async function callUnary<Input extends DescMessage, Output extends DescMessage>(
  target: CallTarget,
  method: Method<Input, Output>,
  message: MessageInitShape<Input>,
  options: CallOptions = {},
): Promise<RpcAnswer<MessageShape<Output>>> {
  const { format = plainFormat } = options;
  const bytes = encodeMessage(format.codec, method.input, message);
  const connect = format.protocol === "connect";
  const exchange = open(target, method, { ...options, format, streaming: false, body: connect ? bytes : frame(bytes) });
  const answer = await readWhole(exchange);
  return connect ? readConnect(method, format, answer) : await readGrpc(method, format, answer);
}

/** What a server stream brings: messages, and last how it ended; `undefined` for a good end. */
export type StreamItem<T> =
  | { readonly kind: "message"; readonly message: T }
  | { readonly kind: "end"; readonly answer: Exclude<RpcAnswer<never>, { kind: "message" }> | undefined };

export interface ServerStream<T> extends AsyncIterable<StreamItem<T>> {
  cancel(): void;
}

/** A call with one message and many answers, over Connect or gRPC. */
export function callServerStream<Input extends DescMessage, Output extends DescMessage>(
  target: CallTarget,
  method: Method<Input, Output>,
  message: MessageInitShape<Input>,
  options: CallOptions = {},
): ServerStream<MessageShape<Output>> {
  const { format = plainFormat } = options;
  const body = frame(encodeMessage(format.codec, method.input, message));
  const exchange = open(target, method, { ...options, format, streaming: true, body });
  return {
    cancel: () => exchange.cancel(),
    [Symbol.asyncIterator]: () => readStream(exchange, method.output, format),
  };
}

interface OpenOptions extends CallOptions {
  readonly format: RpcFormat;
  readonly streaming: boolean;
  readonly body: Uint8Array;
}

function open({ http, signal }: CallTarget, method: DescMethod, options: OpenOptions): HttpExchange {
  const { format, streaming, body, headers, prefix = "", path = pathOf(method) } = options;
  const own = {
    "content-type": contentTypeOf(format, streaming),
    ...(format.protocol === "connect" && { "connect-protocol-version": "1" }),
    ...(format.protocol === "grpc" && { te: "trailers" }),
  };
  return http.open(format.http, { path: prefix + path, headers: { ...own, ...headers }, body }, signal);
}

function readConnect<Output extends DescMessage>(
  { output }: DescMethod & { readonly output: Output },
  format: RpcFormat,
  answer: HttpAnswer,
): RpcAnswer<MessageShape<Output>> {
  if (answer.status !== 200) return readConnectError(answer, answer.body);
  const type = answer.headers["content-type"] ?? "no content type";
  if (!type.startsWith(contentTypeOf(format, false))) return { kind: "malformed", seen: `HTTP 200 with ${type}` };
  return decoded(output, format, answer.body, answer.headers);
}

async function readGrpc<Output extends DescMessage>(
  { output }: DescMethod & { readonly output: Output },
  format: RpcFormat,
  answer: HttpAnswer,
): Promise<RpcAnswer<MessageShape<Output>>> {
  if (!isGrpc(answer, format)) return readForeignAnswer(answer);
  let message: Buffer | undefined;
  let webTrailers: Record<string, string> | undefined;
  for await (const { flags, bytes } of readFrames(oneChunk(answer.body))) {
    if ((flags & 0x80) !== 0) webTrailers = readWebTrailers(bytes);
    else message ??= bytes;
  }
  const bad = readGrpcStatus({ ...answer.headers, ...answer.trailers, ...webTrailers }, answer.status);
  if (bad !== undefined) return bad;
  if (message === undefined) return { kind: "malformed", seen: "grpc-status 0 without a message" };
  return decoded(output, format, message, answer.headers);
}

async function* readStream<Output extends DescMessage>(
  exchange: HttpExchange,
  output: Output,
  format: RpcFormat,
): AsyncGenerator<StreamItem<MessageShape<Output>>, void, void> {
  const head = await exchange.head;
  const connect = format.protocol === "connect";
  if (connect ? !isConnectStream(head, format) : !isGrpc(head, format)) {
    const { body } = await readWhole(exchange);
    const answer = connect ? readConnectError(head, body) : readForeignAnswer(head);
    yield { kind: "end", answer: answer.kind === "message" ? undefined : answer };
    return;
  }
  let trailers: Record<string, string> = {};
  for await (const { flags, bytes } of readFrames(exchange.chunks)) {
    if (connect && (flags & 0x02) !== 0) {
      yield { kind: "end", answer: errorOnly(readEndOfStream(bytes, head.status)) };
      return;
    }
    if ((flags & 0x80) !== 0) trailers = readWebTrailers(bytes);
    else yield { kind: "message", message: decodeMessage(format.codec, output, bytes) };
  }
  if (connect) yield { kind: "end", answer: { kind: "malformed", seen: "the stream ended without its last frame" } };
  else {
    const fields = { ...head.headers, ...exchange.trailers(), ...trailers };
    yield { kind: "end", answer: errorOnly(readGrpcStatus(fields, head.status)) };
  }
}

function errorOnly(answer: RpcAnswer<never> | undefined) {
  return answer === undefined || answer.kind === "message" ? undefined : answer;
}

function isConnectStream({ status, headers }: HttpHead, format: RpcFormat): boolean {
  return status === 200 && (headers["content-type"] ?? "").startsWith(contentTypeOf(format, true));
}

function isGrpc({ status, headers }: HttpHead, { protocol }: RpcFormat): boolean {
  return status === 200 && new RegExp(`^application/${protocol}(?:\\+|;|$)`).test(headers["content-type"] ?? "");
}

function decoded<Output extends DescMessage>(
  output: Output,
  { codec }: RpcFormat,
  bytes: Uint8Array,
  headers: Readonly<Record<string, string>>,
): RpcAnswer<MessageShape<Output>> {
  try {
    return { kind: "message", message: decodeMessage(codec, output, bytes), headers };
  } catch (reason) {
    return { kind: "malformed", seen: `no ${output.typeName}: ${reason instanceof Error ? reason.message : "?"}` };
  }
}

/** gRPC-Web puts its trailers into a frame, as lines of text. */
function readWebTrailers(bytes: Uint8Array): Record<string, string> {
  const lines = Buffer.from(bytes).toString("utf8").split("\r\n");
  const fields: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon > 0) fields[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim();
  }
  return fields;
}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield bytes;
}
