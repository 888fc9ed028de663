import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it, vi } from "vitest";
import { isUnprocessed, markUnprocessed } from "./unprocessed.ts";

function nodeError(code: string, syscall?: string, message = `${code} happened`): Error {
  return Object.assign(new Error(message), { code }, syscall === undefined ? {} : { syscall });
}

/** As connect-node wraps it. */
const wrapped = (cause: unknown) => new ConnectError("x", Code.Unavailable, undefined, undefined, cause);

function wireError(message: string): ConnectError {
  const error = new ConnectError(message, Code.Unavailable);
  error.isWireError = true;
  return error;
}

const refusedStream = "Stream closed with error code NGHTTP2_REFUSED_STREAM";

describe("isUnprocessed", () => {
  it.each([
    { title: "a refused connection", error: nodeError("ECONNREFUSED", "connect"), proven: true },
    { title: "a missing socket file", error: nodeError("ENOENT", "connect"), proven: true },
    {
      title: "a connection that was reset before it was made",
      error: nodeError("ECONNRESET", "connect"),
      proven: true,
    },
    { title: "an unknown name", error: nodeError("ENOTFOUND", "getaddrinfo"), proven: true },
    { title: "a time-out of fetch's connect", error: nodeError("UND_ERR_CONNECT_TIMEOUT"), proven: true },
    {
      title: "all addresses of a name refused",
      error: new AggregateError([nodeError("ECONNREFUSED", "connect"), nodeError("ETIMEDOUT", "connect")]),
      proven: true,
    },
    {
      title: "not all addresses refused",
      error: new AggregateError([nodeError("ECONNREFUSED", "connect"), nodeError("ECONNRESET", "read")]),
      proven: false,
    },
    { title: "no errors at all", error: new AggregateError([]), proven: false },
    { title: "a refused stream", error: nodeError("ERR_HTTP2_STREAM_ERROR", undefined, refusedStream), proven: true },
    {
      title: "a stream that was reset otherwise",
      error: nodeError("ERR_HTTP2_STREAM_ERROR", undefined, "Stream closed with error code NGHTTP2_INTERNAL_ERROR"),
      proven: false,
    },
    { title: "a session that goes away", error: nodeError("ERR_HTTP2_GOAWAY_SESSION"), proven: true },
    { title: "a stream without an id", error: nodeError("ERR_HTTP2_STREAM_CANCEL"), proven: true },
    { title: "a session that failed", error: nodeError("ERR_HTTP2_SESSION_ERROR"), proven: false },
    { title: "a lost connection", error: nodeError("ECONNRESET", "read"), proven: false },
    { title: "a file that is missing", error: nodeError("ENOENT", "open"), proven: false },
    { title: "an error that says so", error: new Error(refusedStream), proven: false },
  ])("$title: $proven, also as a cause", ({ error, proven }) => {
    expect([isUnprocessed(error), isUnprocessed(wrapped(error)), isUnprocessed(wrapped(wrapped(error)))]).toEqual([
      proven,
      proven,
      proven,
    ]);
  });

  it("believes connect-node's error for a refused stream, but not a server that writes the same", () => {
    const message = "http/2 stream closed with error code REFUSED_STREAM (0x7)";
    expect(isUnprocessed(new ConnectError(message, Code.Unavailable))).toBe(true);
    expect(isUnprocessed(wireError(message))).toBe(false);
  });

  it("is about the call, not about another one that failed while it ran", () => {
    expect(isUnprocessed(wrapped(markUnprocessed(new Error("theirs"))))).toBe(false);
  });

  it.each([undefined, null, "ECONNREFUSED", 7, {}])("%s proves nothing", (error) => {
    expect(isUnprocessed(error)).toBe(false);
  });

  it("ends with causes that go in a circle", () => {
    const loop = new Error("loop");
    loop.cause = new Error("other", { cause: loop });
    expect(isUnprocessed(loop)).toBe(false);
  });
});

describe("markUnprocessed", () => {
  it("returns the error, which looks as before", () => {
    const error = new ConnectError("open", Code.Unavailable);
    const before = Object.keys(error);
    expect(markUnprocessed(markUnprocessed(error))).toBe(error);
    expect([isUnprocessed(error), Object.keys(error)]).toEqual([true, before]);
  });

  it("is understood by a copy of this package", async () => {
    vi.resetModules();
    const copy = await import("./unprocessed.ts");
    expect(copy.isUnprocessed).not.toBe(isUnprocessed);
    expect(copy.isUnprocessed(markUnprocessed(new Error("open")))).toBe(true);
  });
});
