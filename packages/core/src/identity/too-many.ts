import { Code, ConnectError } from "@connectrpc/connect";

/**
 * `resource_exhausted` that says when to try again: in the `retry-after` header (whole seconds, RFC 9110 section
 * 10.2.3; Connect answers HTTP 429), which gRPC callers get as a trailer.
 */
export function tooMany(message: string, retryAfterMs: number): ConnectError {
  const seconds = Math.max(1, Math.ceil(retryAfterMs / 1000));
  return new ConnectError(`${message}; try again in ${seconds} s`, Code.ResourceExhausted, {
    "retry-after": String(seconds),
  });
}
