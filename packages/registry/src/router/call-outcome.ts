import { Code, type ConnectError } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { isConnectionLost, isUnprocessed } from "@cpg/resilience";
import type { CallResult } from "../health/health-monitor.ts";

/** What an answer says of itself without its body. */
export interface AnswerFacts {
  /** HTTP status. */
  readonly status: number;
  /** Value of grpc-status, among headers or trailers. */
  readonly grpcStatus: string | undefined;
  /** Content type of the answer; "" if it has none. */
  readonly contentType: string;
}

/** Failures that are the server's own. */
const ownFailures: ReadonlySet<number> = new Set([Code.Unknown, Code.Internal, Code.Unavailable, Code.DataLoss]);
/**
 * 501 and 504 are no failures of a server: Connect's unary calls say with them "unimplemented" and "deadline_exceeded",
 * of which one is the caller's mistake and the other as often its haste.
 */
const harmlessStatuses: ReadonlySet<number> = new Set([501, 504]);

/** What an answer says of its provider's health. */
export function resultOfAnswer({ status, grpcStatus }: AnswerFacts): CallResult {
  if (grpcStatus !== undefined) return ownFailures.has(Number(grpcStatus)) ? "failed" : "ok";
  return status >= 500 && !harmlessStatuses.has(status) ? "failed" : "ok";
}

/** For the hook: "ok", the name of a code, or undefined when only the body says it. */
export function codeOfAnswer({ status, grpcStatus, contentType }: AnswerFacts): string | undefined {
  if (grpcStatus !== undefined) return grpcStatus === "0" ? "ok" : codeName(Number(grpcStatus));
  if (status >= 400) return codeName(codes.get(status) ?? (status >= 500 ? Code.Unknown : Code.InvalidArgument));
  return /^application\/(?:grpc|connect\+)/.test(contentType) ? undefined : "ok";
}

export function codeName(code: number): string {
  return code in Code ? codeToString(code) : codeToString(Code.Unknown);
}

/** The likeliest code behind an HTTP status, https://connectrpc.com/docs/protocol#error-codes read backwards. */
const codes: ReadonlyMap<number, Code> = new Map([
  [401, Code.Unauthenticated],
  [403, Code.PermissionDenied],
  [404, Code.NotFound],
  [408, Code.DeadlineExceeded],
  [409, Code.AlreadyExists],
  [412, Code.FailedPrecondition],
  [429, Code.ResourceExhausted],
  [499, Code.Canceled],
  [501, Code.Unimplemented],
  [502, Code.Unavailable],
  [503, Code.Unavailable],
  [504, Code.DeadlineExceeded],
]);

/** What a plugin without a socket, which answered, says of its health. */
export function resultOfDirect(error: ConnectError | undefined): CallResult {
  if (error === undefined || !ownFailures.has(error.code)) return "ok";
  if (isUnprocessed(error)) return "refused";
  return isConnectionLost(error) ? "reset" : "failed";
}
