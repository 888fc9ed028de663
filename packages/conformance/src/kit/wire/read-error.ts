import { codeOfNumber, isCodeName } from "./codes.ts";
import type { HttpHead } from "./http-exchange.ts";
import type { RpcAnswer } from "./rpc-answer.ts";

type Fields = Readonly<Record<string, string>>;

/** The error in an answer of Connect's unary form, which has an HTTP status of its own. */
export function readConnectError(head: HttpHead, body: Uint8Array): RpcAnswer<never> {
  const { status: httpStatus, headers } = head;
  const type = headers["content-type"] ?? "no content type";
  const json = /^application\/json\b/.test(type) ? parseJson(body) : undefined;
  const found = connectErrorIn(json, httpStatus);
  if (found !== undefined) return found;
  if ([404, 405, 415, 505].includes(httpStatus)) return { kind: "absent", seen: `HTTP ${httpStatus}, ${type}` };
  return { kind: "malformed", seen: `HTTP ${httpStatus} with ${type}, no error of Connect` };
}

/** Of the last frame of a Connect stream; undefined when it says that all went well. */
export function readEndOfStream(bytes: Uint8Array, httpStatus: number): RpcAnswer<never> | undefined {
  const end = parseJson(bytes);
  if (typeof end !== "object" || end === null) return { kind: "malformed", seen: "the end of the stream is no JSON" };
  const error: unknown = Reflect.get(end, "error");
  if (error === undefined) return undefined;
  return (
    connectErrorIn(error, httpStatus) ?? {
      kind: "malformed",
      seen: "the end of the stream has an error without a code",
    }
  );
}

/** Of trailers, or of headers that are trailers too; undefined for `ok`. */
export function readGrpcStatus(fields: Fields, httpStatus: number): RpcAnswer<never> | undefined {
  const status = fields["grpc-status"];
  if (status === undefined) return { kind: "malformed", seen: `HTTP ${httpStatus} without grpc-status` };
  const code = codeOfNumber(status);
  if (code === undefined) return { kind: "malformed", seen: `grpc-status ${status}` };
  if (code === "ok") return undefined;
  const message = decodeMessageText(fields["grpc-message"] ?? "");
  return errorAnswer(code, message, httpStatus);
}

/** An answer that is none of gRPC: from a server that does not know the call. */
export function readForeignAnswer({ status, headers }: HttpHead): RpcAnswer<never> {
  const type = headers["content-type"] ?? "no content type";
  const seen = `HTTP ${status} with ${type}`;
  return [404, 405, 415, 505].includes(status) ? { kind: "absent", seen } : { kind: "malformed", seen };
}

function connectErrorIn(json: unknown, httpStatus: number): RpcAnswer<never> | undefined {
  if (typeof json !== "object" || json === null) return undefined;
  const code: unknown = Reflect.get(json, "code");
  const message: unknown = Reflect.get(json, "message") ?? "";
  if (!isCodeName(code) || code === "ok" || typeof message !== "string") return undefined;
  return errorAnswer(code, message, httpStatus);
}

function errorAnswer(code: Exclude<ReturnType<typeof codeOfNumber>, undefined>, message: string, httpStatus: number) {
  if (code === "unimplemented") return { kind: "absent", seen: `unimplemented ${message}`.trim() } as const;
  return { kind: "error", error: { code, message, httpStatus } } as const;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return undefined;
  }
}

function decodeMessageText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
