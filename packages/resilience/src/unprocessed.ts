import { ConnectError } from "@connectrpc/connect";
import { anyCause } from "./internal/any-cause.ts";

/** Registered, so that copies of this package that were installed twice understand each other. */
const mark: unique symbol = Symbol.for("@cpg/resilience/unprocessed");

/**
 * Notes on an error that the call which failed with it did not run: it never left this process, or the peer says that
 * it did not look at it. For those who make such errors. The note stays in this process. Returns the error.
 */
export function markUnprocessed<E extends object>(error: E): E {
  Object.defineProperty(error, mark, { value: true });
  return error;
}

/**
 * Whether it is proven that the server did not run the call that failed with `error`, so that any call may be repeated.
 * Proven by: `markUnprocessed`; a name that was not resolved or a connection that was not made; HTTP/2's REFUSED_STREAM,
 * which is also how Node ends streams above the last id of a GOAWAY (RFC 9113, sections 6.8 and 8.7); a stream that was
 * never sent because its session had ended. Looks at Node's error in the chain of causes. What a peer writes in an
 * error of its own proves nothing, and a connection lost later neither.
 */
export function isUnprocessed(error: unknown): boolean {
  if (typeof error === "object" && error !== null && mark in error) return true;
  return anyCause(error, proves);
}

/** Raised before anything of a call was sent. */
const unsent = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
  "ERR_HTTP2_GOAWAY_SESSION",
  // Of streams without an id yet; those that were sent get the error of their session.
  "ERR_HTTP2_STREAM_CANCEL",
]);

/** Node and connect-node 2.2 tell the code of a reset in the message only. */
const refused = /^(?:Stream closed with error code NGHTTP2_|http\/2 stream closed with error code )REFUSED_STREAM\b/;

function proves(error: Error): boolean {
  if (error instanceof ConnectError) return error.cause === undefined && refused.test(error.rawMessage);
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.every(isUnsent);
  if ("code" in error && error.code === "ERR_HTTP2_STREAM_ERROR") return refused.test(error.message);
  return isUnsent(error);
}

function isUnsent(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ("syscall" in error && (error.syscall === "connect" || error.syscall === "getaddrinfo")) return true;
  return "code" in error && typeof error.code === "string" && unsent.has(error.code);
}
