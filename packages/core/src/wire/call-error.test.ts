import { Code, ConnectError } from "@connectrpc/connect";
import { isUnprocessed } from "@cpg/resilience";
import { describe, expect, it } from "vitest";
import { ConnectionError, callError, connectionFailed } from "./call-error.ts";
import { parseEndpoint } from "./endpoint.ts";

const endpoint = parseEndpoint("http://127.0.0.1:1");

function nodeError(code: string, syscall?: string): Error {
  return Object.assign(new Error(`${code} happened`), { code }, syscall ? { syscall } : {});
}

describe("callError", () => {
  it.each([
    ["ECONNREFUSED", "connect", "connect"],
    ["EHOSTUNREACH", "connect", "connect"],
    ["ENOENT", "connect", "connect"],
    ["EACCES", "connect", "connect"],
    ["ENOTFOUND", "getaddrinfo", "connect"],
    ["ECONNRESET", "read", "call"],
    ["ECONNRESET", undefined, "call"],
    ["EPIPE", "write", "call"],
    ["ETIMEDOUT", "read", "call"],
    ["HPE_INVALID_CONSTANT", undefined, "call"],
    ["ERR_HTTP2_SESSION_ERROR", undefined, "call"],
    ["ERR_TLS_CERT_ALTNAME_INVALID", undefined, "tls"],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", undefined, "tls"],
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", undefined, "tls"],
    ["ERR_SSL_WRONG_VERSION_NUMBER", undefined, "tls"],
    ["EPROTO", "write", "tls"],
  ])("%s of %s is unavailable, stage %s", (code, syscall, stage) => {
    const reason = nodeError(code, syscall);
    // As Connect wraps it.
    const wrapped = new ConnectError("aborted", Code.Aborted, undefined, undefined, reason);
    for (const error of [callError(endpoint, reason), callError(endpoint, wrapped)]) {
      expect(error.code).toBe(Code.Unavailable);
      expect(error.rawMessage).toMatch(/http:\/\/127\.0\.0\.1:1.*: .* happened$/);
      expect(error.cause).toBeInstanceOf(ConnectionError);
      expect(error.cause).toMatchObject({ endpoint: "http://127.0.0.1:1", stage, code, cause: reason });
    }
  });

  it.each([
    ["connect", true],
    ["http", true],
    ["tls", false],
    ["call", false],
  ] as const)("a connection that failed at stage %s: the call did not run is proven: %s", (stage, proven) => {
    expect(isUnprocessed(connectionFailed(endpoint, stage, "not done in time"))).toBe(proven);
  });

  it("converts once", () => {
    const failed = connectionFailed(endpoint, "call", "gone", nodeError("ECONNRESET"));
    expect(callError(endpoint, failed)).toBe(failed);
  });

  it("leaves alone what has a code and no error of Node's behind it", () => {
    const error = new ConnectError("full", Code.ResourceExhausted);
    expect(callError(endpoint, error)).toBe(error);
  });

  it.each([
    ["a bug", new TypeError("x is not a function")],
    ["a string", "what"],
    ["misuse of Node's API", nodeError("ERR_HTTP2_INVALID_HEADER_VALUE")],
  ])("takes %s for an internal error", (_, reason) => {
    expect(callError(endpoint, reason).code).toBe(Code.Internal);
  });

  it("ends with a cause that points to itself", () => {
    const loop = new Error("loop");
    loop.cause = loop;
    expect(callError(endpoint, loop).code).toBe(Code.Internal);
  });
});
