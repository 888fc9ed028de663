import { ConnectError } from "@connectrpc/connect";
import { anyCause } from "./internal/any-cause.ts";

/**
 * Whether a call failed because the connection under it was lost, so that nobody knows how far it came. Transports do
 * not agree on a code for that: connect-node 2.2 says `canceled` over HTTP/2 and `aborted` over HTTP/1.1, ours says
 * `unavailable`. To be asked only while the caller itself has not given up.
 */
export function isConnectionLost(error: unknown): boolean {
  return anyCause(error, isLost);
}

const lost = new Set([
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ERR_STREAM_PREMATURE_CLOSE",
  "ERR_HTTP2_SESSION_ERROR",
  "UND_ERR_SOCKET",
]);

/** All that connect-node tells of an HTTP/2 connection that ended, or a server that let go of the stream. */
const canceledStream = /^http\/2 stream closed with error code CANCEL\b/;

function isLost(error: Error): boolean {
  if (error instanceof ConnectError) return error.cause === undefined && canceledStream.test(error.rawMessage);
  return "code" in error && typeof error.code === "string" && lost.has(error.code);
}
