import { Code, ConnectError } from "@connectrpc/connect";
import { markUnprocessed } from "@cpg/resilience";
import { describe, expect, it } from "vitest";
import type { CallResult } from "../health/health-monitor.ts";
import { codeOfAnswer, resultOf, resultOfDirect } from "./call-outcome.ts";
import type { ForwardEnd } from "./forward/forwarder.ts";

describe("an answer", () => {
  const unary = "application/proto";
  it.each([
    { status: 200, grpcStatus: "0", contentType: "application/grpc", code: "ok", result: "ok" },
    { status: 200, grpcStatus: "5", contentType: "application/grpc", code: "not_found", result: "ok" },
    { status: 200, grpcStatus: "4", contentType: "application/grpc", code: "deadline_exceeded", result: "ok" },
    { status: 200, grpcStatus: "12", contentType: "application/grpc", code: "unimplemented", result: "ok" },
    { status: 200, grpcStatus: "14", contentType: "application/grpc", code: "unavailable", result: "failed" },
    { status: 200, grpcStatus: "13", contentType: "application/grpc+proto", code: "internal", result: "failed" },
    { status: 200, grpcStatus: "2", contentType: "application/grpc", code: "unknown", result: "failed" },
    { status: 200, grpcStatus: "15", contentType: "application/grpc", code: "data_loss", result: "failed" },
    { status: 200, grpcStatus: "99", contentType: "application/grpc", code: "unknown", result: "ok" },
    { status: 200, grpcStatus: undefined, contentType: "application/grpc-web", code: undefined, result: "ok" },
    { status: 200, grpcStatus: undefined, contentType: "application/connect+proto", code: undefined, result: "ok" },
    { status: 200, grpcStatus: undefined, contentType: unary, code: "ok", result: "ok" },
    { status: 302, grpcStatus: undefined, contentType: "", code: "ok", result: "ok" },
    { status: 400, grpcStatus: undefined, contentType: "application/json", code: "invalid_argument", result: "ok" },
    { status: 404, grpcStatus: undefined, contentType: "text/plain", code: "not_found", result: "ok" },
    { status: 429, grpcStatus: undefined, contentType: "", code: "resource_exhausted", result: "ok" },
    { status: 500, grpcStatus: undefined, contentType: "application/json", code: "unknown", result: "failed" },
    { status: 501, grpcStatus: undefined, contentType: "application/json", code: "unimplemented", result: "ok" },
    { status: 502, grpcStatus: undefined, contentType: "text/html", code: "unavailable", result: "failed" },
    { status: 503, grpcStatus: undefined, contentType: "application/json", code: "unavailable", result: "failed" },
    { status: 504, grpcStatus: undefined, contentType: "", code: "deadline_exceeded", result: "ok" },
  ])("$status $grpcStatus of $contentType means $code, and to the provider $result", (row) => {
    expect(codeOfAnswer(row)).toBe(row.code);
    expect(resultOf({ kind: "answered", cut: undefined, ...row })).toBe(row.result);
  });
});

describe("a call without a whole answer", () => {
  const error = new Error("x");
  const answer = { kind: "answered", status: 200, contentType: "", grpcStatus: undefined } as const;
  it.each<{ end: ForwardEnd; result: CallResult | undefined }>([
    { end: { kind: "unsent", cause: "refused", error, replayable: true }, result: "refused" },
    { end: { kind: "unsent", cause: "timeout", error, replayable: true }, result: "timeout" },
    { end: { kind: "unsent", cause: "unreachable", error, replayable: true }, result: "timeout" },
    { end: { kind: "unsent", cause: "tls", error, replayable: true }, result: "failed" },
    { end: { kind: "unsent", cause: "protocol", error, replayable: true }, result: "failed" },
    { end: { kind: "unsent", cause: "unprocessed", error, replayable: true }, result: undefined },
    { end: { kind: "unsent", cause: "busy", error, replayable: true }, result: undefined },
    { end: { kind: "unsent", cause: "closed", error, replayable: true }, result: undefined },
    { end: { kind: "lost", cause: "connection", error }, result: "reset" },
    { end: { kind: "lost", cause: "silence", error }, result: "timeout" },
    { end: { kind: "lost", cause: "stream", error }, result: "failed" },
    { end: { ...answer, cut: "connection" }, result: "reset" },
    { end: { ...answer, cut: "silence" }, result: "timeout" },
    { end: { ...answer, cut: "stream" }, result: "failed" },
    { end: { kind: "aborted", status: undefined }, result: undefined },
    { end: { kind: "aborted", status: 200 }, result: undefined },
  ])("means to its provider $result: $end", ({ end, result }) => expect(resultOf(end)).toBe(result));
});

describe("an answer of a plugin without a socket", () => {
  it.each([
    { error: undefined, result: "ok" },
    { error: new ConnectError("x", Code.NotFound), result: "ok" },
    { error: new ConnectError("x", Code.Internal), result: "failed" },
    { error: markUnprocessed(new ConnectError("x", Code.Unavailable)), result: "refused" },
    {
      error: new ConnectError(
        "x",
        Code.Unavailable,
        undefined,
        undefined,
        Object.assign(new Error(), { code: "EPIPE" }),
      ),
      result: "reset",
    },
  ])("means $result", ({ error, result }) => expect(resultOfDirect(error)).toBe(result));
});
