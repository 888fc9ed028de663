import { Code, ConnectError } from "@connectrpc/connect";
import { markUnprocessed } from "./unprocessed.ts";

/** Why a bulkhead rejects: there is no place in its queue, or the call has waited too long. */
export type BulkheadRefusal = "full" | "timeout";

/** The cause of the error with which a bulkhead rejects a call. Stays in this process. */
export class BulkheadFullError extends Error {
  override readonly name = "BulkheadFullError";
  readonly key: string;
  readonly refusal: BulkheadRefusal;

  constructor(key: string, refusal: BulkheadRefusal) {
    super(refusal === "full" ? `no place is free for ${key}` : `the wait for a place took too long for ${key}`);
    this.key = key;
    this.refusal = refusal;
  }
}

/**
 * The rejection, which proves that the call did not run. It names no delay, as none is known: whoever retries does so
 * with a backoff of their own. Its message does not name the key, as it may travel on.
 */
export function bulkheadFull(key: string, refusal: BulkheadRefusal): ConnectError {
  const message = refusal === "full" ? "too many calls at a time" : "no call ended in time to make room for this one";
  const cause = new BulkheadFullError(key, refusal);
  return markUnprocessed(new ConnectError(message, Code.ResourceExhausted, undefined, undefined, cause));
}
