import { Code, ConnectError } from "@connectrpc/connect";

/** The cause of the error of an attempt that took too long. Stays in this process. */
export class AttemptTimeoutError extends Error {
  override readonly name = "AttemptTimeoutError";
  /** The time that the attempt had. */
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    super(`no answer within ${Math.round(timeoutMs)} ms`);
    this.timeoutMs = timeoutMs;
  }
}

export function attemptTimedOut(timeoutMs: number): ConnectError {
  const cause = new AttemptTimeoutError(timeoutMs);
  return new ConnectError(cause.message, Code.DeadlineExceeded, undefined, undefined, cause);
}
