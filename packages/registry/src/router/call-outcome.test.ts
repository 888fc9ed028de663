import { Code, ConnectError } from "@connectrpc/connect";
import { markUnprocessed } from "@cpg/resilience";
import { describe, expect, it } from "vitest";
import { codeOfAnswer, resultOfAnswer, resultOfDirect } from "./call-outcome.ts";

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
    expect(resultOfAnswer(row)).toBe(row.result);
  });
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
