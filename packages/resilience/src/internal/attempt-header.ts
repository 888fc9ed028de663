import { readTimeout, writeTimeout } from "./timeout-header.ts";

/** Tells the server how many attempts there were before this one, as in gRFC A6. */
const previousAttempts = "grpc-previous-rpc-attempts";

/**
 * The headers of an attempt after the first, which were added to those that an interceptor further out counts: how many
 * there were, and how much of the call's time is left. A copy, as other attempts need the headers as they are.
 * @param number 2 for the second attempt.
 */
export function attemptHeader(header: Headers, number: number, elapsedMs: number): Headers {
  const copy = new Headers(header);
  const before = Number(copy.get(previousAttempts) ?? 0);
  copy.set(previousAttempts, `${(Number.isSafeInteger(before) ? before : 0) + number - 1}`);
  const timeoutMs = readTimeout(copy);
  if (timeoutMs !== undefined) writeTimeout(copy, timeoutMs - elapsedMs);
  return copy;
}
