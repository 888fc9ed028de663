import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { isConnectionLost } from "./connection-lost.ts";

const nodeError = (code: string) => Object.assign(new Error(`${code} happened`), { code });
const canceled = () => new ConnectError("http/2 stream closed with error code CANCEL (0x8)", Code.Canceled);

describe("isConnectionLost", () => {
  it.each([
    { title: "a reset connection", error: nodeError("ECONNRESET"), lost: true },
    { title: "a broken pipe", error: nodeError("EPIPE"), lost: true },
    { title: "an HTTP/2 session that failed", error: nodeError("ERR_HTTP2_SESSION_ERROR"), lost: true },
    { title: "a socket of fetch that was closed", error: nodeError("UND_ERR_SOCKET"), lost: true },
    { title: "what connect-node makes of an HTTP/2 connection that ended", error: canceled(), lost: true },
    { title: "another canceled", error: new ConnectError("enough", Code.Canceled), lost: false },
    { title: "a stream that the server reset", error: nodeError("ERR_HTTP2_STREAM_ERROR"), lost: false },
    { title: "an error of the server", error: new ConnectError("down", Code.Unavailable), lost: false },
    { title: "no error", error: undefined, lost: false },
  ])("$title: $lost", ({ error, lost }) => {
    const wrapped = new ConnectError("x", Code.Aborted, undefined, undefined, error);
    expect([isConnectionLost(error), isConnectionLost(wrapped)]).toEqual([lost, lost]);
  });

  it("does not believe a server that writes the same", () => {
    const error = canceled();
    error.isWireError = true;
    expect(isConnectionLost(error)).toBe(false);
  });
});
