import { Code, type ConnectError } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { isConnectionLost, isUnprocessed } from "@cpg/resilience";
import type { CallResult } from "../health/health-monitor.ts";
import type { ForwardEnd, LostCause, UnsentCause } from "./forward/forwarder.ts";

/** Failures that are the server's own. */
const ownFailures: ReadonlySet<number> = new Set([Code.Unknown, Code.Internal, Code.Unavailable, Code.DataLoss]);
/**
 * 501 and 504 are no failures of a server: Connect's unary calls say with them "unimplemented" and "deadline_exceeded",
 * of which one is the caller's mistake and the other as often its haste.
 */
const harmlessStatuses: ReadonlySet<number> = new Set([501, 504]);

type AnswerFacts = Pick<Extract<ForwardEnd, { readonly kind: "answered" }>, "status" | "contentType" | "grpcStatus">;

/** What the end of a call says of its provider's health. Undefined: nothing. */
export function resultOf(end: ForwardEnd): CallResult | undefined {
  switch (end.kind) {
    case "answered":
      if (end.cut !== undefined) return lossResults[end.cut];
      return resultOfAnswer(end);
    case "unsent":
      return unsentResults[end.cause];
    case "lost":
      return lossResults[end.cause];
    case "aborted":
      return undefined;
  }
}

/** Without a result: the provider is there, or the host itself is to blame. */
const unsentResults: Readonly<Record<UnsentCause, CallResult | undefined>> = {
  refused: "refused",
  timeout: "timeout",
  unreachable: "timeout", // the network may be to blame, so it proves no death
  tls: "failed",
  protocol: "failed",
  unprocessed: undefined,
  request: undefined, // the caller is
  busy: undefined,
  closed: undefined,
};

const lossResults: Readonly<Record<LostCause, CallResult>> = {
  connection: "reset",
  silence: "timeout", // it proves no death
  stream: "failed",
};

function resultOfAnswer({ status, grpcStatus }: AnswerFacts): CallResult {
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
