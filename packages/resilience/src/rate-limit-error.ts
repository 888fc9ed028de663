import { Code, type ConnectError } from "@connectrpc/connect";
import { retryLater } from "./retry-delay.ts";
import { markUnprocessed } from "./unprocessed.ts";

/** The cause of the error with which a rate limit rejects a call. Stays in this process. */
export class RateLimitError extends Error {
  override readonly name = "RateLimitError";
  readonly key: string;
  /** When there will be room, if nobody else comes. */
  readonly retryAfterMs: number;

  constructor(key: string, retryAfterMs: number) {
    super(`too many calls of ${key}`);
    this.key = key;
    this.retryAfterMs = retryAfterMs;
  }
}

export const rateLimitMessage = "too many calls";

/** The rejection, which proves that the call did not run. Its message does not name the key, as it may travel on. */
export function rateLimited(key: string, retryAfterMs: number): ConnectError {
  const cause = new RateLimitError(key, retryAfterMs);
  return markUnprocessed(retryLater(rateLimitMessage, Code.ResourceExhausted, retryAfterMs, cause));
}
