import { constants } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { markUnprocessed } from "@cpg/resilience";
import { type Endpoint, formatEndpoint } from "./endpoint.ts";
import { resetCodeOf } from "./stream-reset.ts";

/** How far a call came before its connection failed. */
export type ConnectionStage = "connect" | "tls" | "http" | "call";

/** A connection could not be made, or was lost. Cause of the `unavailable` that says so. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  /** "http://host:port", "unix:/path", or a name such as "worker:kv". */
  readonly endpoint: string;
  readonly stage: ConnectionStage;
  /** Code of Node's error, such as ECONNREFUSED, if there was one. */
  readonly code: string | undefined;

  /** @param endpoint - or the name of what is reached without a socket. */
  constructor(endpoint: Endpoint | string, stage: ConnectionStage, detail: string, reason?: unknown) {
    const target = typeof endpoint === "string" ? endpoint : formatEndpoint(endpoint);
    super(`${sentence[stage](target)}: ${detail}`, reason === undefined ? undefined : { cause: reason });
    this.endpoint = target;
    this.stage = stage;
    this.code = nodeCode(reason);
  }
}

const sentence: Record<ConnectionStage, (target: string) => string> = {
  connect: (target) => `cannot connect to ${target}`,
  tls: (target) => `TLS handshake with ${target} failed`,
  http: (target) => `no HTTP connection to ${target}`,
  call: (target) => `connection to ${target} lost`,
};

/** `unavailable`: the connection failed at this stage. Before "call" nothing was sent, but TLS may also fail later. */
export function connectionFailed(
  endpoint: Endpoint | string,
  stage: ConnectionStage,
  detail: string,
  reason?: unknown,
): ConnectError {
  const cause = new ConnectionError(endpoint, stage, detail, reason);
  const error = new ConnectError(cause.message, Code.Unavailable, undefined, undefined, cause);
  return stage === "connect" || stage === "http" ? markUnprocessed(error) : error;
}

/**
 * The error of a call that failed below the RPC protocols: `unavailable` for whatever happened to the connection, and
 * as it is what carries a code already. A foreign error is converted once and stays as a cause.
 */
export function callError(endpoint: Endpoint, reason: unknown): ConnectError {
  const { typed, foreign } = unwrap(reason);
  if (foreign === undefined) return typed ?? ConnectError.from(reason, Code.Internal);
  if (nodeCode(foreign) === "ERR_HTTP2_STREAM_ERROR") return callReset(endpoint, foreign);
  const stage = stageOf(foreign);
  return stage === undefined
    ? (typed ?? ConnectError.from(reason, Code.Internal))
    : connectionFailed(endpoint, stage, foreign.message, foreign);
}

/** The server ended this call and left the connection as it is. Codes as gRPC has them. */
function callReset(endpoint: Endpoint, reason: Error): ConnectError {
  const { code, says } = resetMeanings.get(resetCodeOf(reason)) ?? { code: Code.Internal, says: "reset the call" };
  return new ConnectError(`${formatEndpoint(endpoint)} ${says}`, code, undefined, undefined, reason);
}

const resetMeanings = new Map<number | undefined, { readonly code: Code; readonly says: string }>([
  [constants.NGHTTP2_REFUSED_STREAM, { code: Code.Unavailable, says: "refused the call before it looked at it" }],
  [constants.NGHTTP2_CANCEL, { code: Code.Canceled, says: "canceled the call" }],
  [constants.NGHTTP2_ENHANCE_YOUR_CALM, { code: Code.ResourceExhausted, says: "asks for fewer calls" }],
  [
    constants.NGHTTP2_INADEQUATE_SECURITY,
    { code: Code.PermissionDenied, says: "finds the connection not safe enough" },
  ],
]);

/** Node's error inside the chain of causes, unless the chain holds a connection error of ours. */
function unwrap(reason: unknown): { typed: ConnectError | undefined; foreign: Error | undefined } {
  const typed = reason instanceof ConnectError ? reason : undefined;
  const seen = new Set<unknown>();
  for (let error = reason; error instanceof Error && !seen.has(error); error = error.cause) {
    seen.add(error);
    if (error instanceof ConnectionError) return { typed, foreign: undefined };
    if (nodeCode(error) !== undefined) return { typed, foreign: error };
  }
  return { typed, foreign: undefined };
}

const tlsCode = /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO$)/;
const httpCode = /^(HPE_|ERR_HTTP2_|ERR_STREAM_PREMATURE_CLOSE$)/;
const lostCode = new Set(["ECONNRESET", "ECONNABORTED", "EPIPE", "ERR_SOCKET_CLOSED", "ERR_STREAM_DESTROYED"]);
/** Raised by wrong use of Node's API, with headers or arguments that it refuses: nothing happened to a connection. */
const misuse = new Set([
  "ERR_HTTP2_INVALID_HEADER_VALUE",
  "ERR_HTTP2_HEADER_SINGLE_VALUE",
  "ERR_HTTP2_INVALID_PSEUDOHEADER",
]);

function stageOf(error: Error): ConnectionStage | undefined {
  const code = nodeCode(error) ?? "";
  if (misuse.has(code)) return undefined;
  if (tlsCode.test(code)) return "tls";
  if ("syscall" in error && (error.syscall === "connect" || error.syscall === "getaddrinfo")) return "connect";
  if (lostCode.has(code) || httpCode.test(code) || "syscall" in error) return "call";
  return undefined;
}

function nodeCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
