import { Code, ConnectError } from "@connectrpc/connect";

/** What kept two sides from shaking hands. */
export type HandshakeFault =
  /** Nothing at the endpoint knows the handshake. */
  | "no-plugin-server"
  /** What answered made no sense: a server of another kind, or a broken one. */
  | "no-usable-answer"
  /** The sides speak different versions of the protocol itself. */
  | "core-version"
  /** The sides share no app protocol version. */
  | "app-version"
  /** The server lacks plugins that were asked for. */
  | "plugins-missing"
  /** The server has another service under the name of a plugin. */
  | "service-differs"
  /** No answer in time. */
  | "timeout";

/** Cause of the errors of a handshake, with the facts of both sides. */
export class HandshakeError extends Error {
  override readonly name = "HandshakeError";
  readonly fault: HandshakeFault;
  /** What this side has or asked for: versions, names or paths. */
  readonly ours: readonly (string | number)[];
  /** What the other side has; undefined when it did not tell. */
  readonly theirs: readonly (string | number)[] | undefined;

  constructor(fault: HandshakeFault, message: string, facts: HandshakeFactsOfSides) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.fault = fault;
    this.ours = facts.ours;
    this.theirs = facts.theirs;
  }
}

export interface HandshakeFactsOfSides {
  readonly ours: readonly (string | number)[];
  readonly theirs?: readonly (string | number)[] | undefined;
  readonly cause?: unknown;
}

const codes: Readonly<Record<HandshakeFault, Code>> = {
  "no-plugin-server": Code.Unimplemented,
  "no-usable-answer": Code.Unknown,
  "core-version": Code.FailedPrecondition,
  "app-version": Code.FailedPrecondition,
  "plugins-missing": Code.NotFound,
  "service-differs": Code.FailedPrecondition,
  timeout: Code.DeadlineExceeded,
};

/** The error that callers get: its code by the fault, its cause a `HandshakeError`. */
export function handshakeFailed(fault: HandshakeFault, message: string, facts: HandshakeFactsOfSides): ConnectError {
  const cause = new HandshakeError(fault, message, facts);
  return new ConnectError(message, codes[fault], undefined, undefined, cause);
}
