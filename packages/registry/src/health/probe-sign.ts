import { ConnectError } from "@connectrpc/connect";
import { ConnectionError } from "@cpg/core/extension";
import type { ProbeResult } from "./probe.ts";

/** As a result; "foreign": something is there, and speaks another protocol than it was asked in. */
export type ProbeSign = ProbeResult | { readonly kind: "foreign" };

/** Nobody listens at this port, or on this Unix socket. */
const refusedCodes = new Set(["ECONNREFUSED", "ENOENT", "ENOTSOCK"]);
/** The network knows no way, or knows of no answer: it may be to blame, so it proves no death. */
const unansweredCodes = new Set(["ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN", "ENETDOWN"]);
/** The connection was there, and is not any more. */
const resetCodes = new Set([
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ERR_STREAM_PREMATURE_CLOSE",
  "ERR_STREAM_DESTROYED",
]);
/** Bytes came, but they are no HTTP that Node understands, or not of the version that was asked for. */
const foreignCode = /^(?:HPE_|ERR_HTTP2_)/;

/** What the failure of a probe shows. An error that came as an answer proves life like any other answer. */
export function signOf(reason: unknown): ProbeSign {
  if (!(reason instanceof ConnectError)) return { kind: "inconclusive" };
  const { cause } = reason;
  if (!(cause instanceof ConnectionError)) return { kind: "answered", opinion: undefined };
  const { code, stage } = cause;
  if (code === undefined) {
    // The peer closed the connection; at stage "http", as what does not know HTTP/2 does.
    return { kind: stage === "http" ? "foreign" : "reset" };
  }
  if (refusedCodes.has(code)) return { kind: "refused" };
  if (resetCodes.has(code)) return { kind: "reset" };
  if (unansweredCodes.has(code)) return { kind: "timed-out" };
  // Of TLS: a certificate that is not good is somebody's all the same.
  if (stage === "tls" || foreignCode.test(code)) return { kind: "foreign" };
  return { kind: "inconclusive" }; // such as EMFILE
}
