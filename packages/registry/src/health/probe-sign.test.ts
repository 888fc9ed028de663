import { Code, ConnectError } from "@connectrpc/connect";
import { ConnectionError, type ConnectionStage } from "@cpg/core/extension";
import { describe, expect, it } from "vitest";
import { signOf } from "./probe-sign.ts";

function lost(stage: ConnectionStage, code?: string): ConnectError {
  const reason = code === undefined ? undefined : Object.assign(new Error("it failed"), { code });
  const cause = new ConnectionError("http://127.0.0.1:1", stage, "it failed", reason);
  return new ConnectError("it failed", Code.Unavailable, undefined, undefined, cause);
}

describe("what the failure of a probe shows", () => {
  it.each([
    { reason: lost("connect", "ECONNREFUSED"), kind: "refused" },
    { reason: lost("connect", "ENOENT"), kind: "refused" },
    { reason: lost("call", "ECONNRESET"), kind: "reset" },
    { reason: lost("connect", "ECONNRESET"), kind: "reset" },
    { reason: lost("call", "EPIPE"), kind: "reset" },
    { reason: lost("call"), kind: "reset" },
    { reason: lost("connect", "ETIMEDOUT"), kind: "timed-out" },
    { reason: lost("connect", "EHOSTUNREACH"), kind: "timed-out" },
    { reason: lost("http"), kind: "foreign" },
    { reason: lost("http", "ERR_HTTP2_ERROR"), kind: "foreign" },
    { reason: lost("call", "HPE_INVALID_CONSTANT"), kind: "foreign" },
    { reason: lost("tls", "DEPTH_ZERO_SELF_SIGNED_CERT"), kind: "foreign" },
    { reason: lost("connect", "EMFILE"), kind: "inconclusive" },
    { reason: lost("connect", "EADDRNOTAVAIL"), kind: "inconclusive" },
    { reason: new Error("a bug"), kind: "inconclusive" },
    { reason: new ConnectError("no such method", Code.Unimplemented), kind: "answered" },
    { reason: new ConnectError("not now", Code.Unavailable), kind: "answered" },
  ])("$kind: $reason.message", ({ reason, kind }) => {
    expect(signOf(reason).kind).toBe(kind);
  });
});
