import { Code, ConnectError } from "@connectrpc/connect";

/** The cause of the error of a call that ran out of time. Stays in this process. */
export class DeadlineError extends Error {
  override readonly name = "DeadlineError";
  /** The time that the call had, in ms; at most 0 if it had none, and so was not sent. */
  readonly timeoutMs: number;
  /** Whether the time was that of an incoming call, while which it was made: says little about the callee. */
  readonly inherited: boolean;

  constructor(timeoutMs: number, inherited: boolean) {
    super(messageOf(timeoutMs, inherited));
    this.timeoutMs = timeoutMs;
    this.inherited = inherited;
  }
}

function messageOf(timeoutMs: number, inherited: boolean): string {
  if (timeoutMs <= 0) return `no time left${inherited ? " of the incoming call" : ""}`;
  return `no end within ${Math.ceil(timeoutMs)} ms${inherited ? ", which the incoming call had left" : ""}`;
}

export function deadlineExceeded(timeoutMs: number, inherited = false): ConnectError {
  const cause = new DeadlineError(timeoutMs, inherited);
  return new ConnectError(cause.message, Code.DeadlineExceeded, undefined, undefined, cause);
}
