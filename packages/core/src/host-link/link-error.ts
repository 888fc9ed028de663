import { Code, ConnectError } from "@connectrpc/connect";
import type { LinkStateName } from "./link-state.ts";

/** The link to the host is down. Cause of the `unavailable` and `deadline_exceeded` that say so. */
export class LinkError extends Error {
  override readonly name = "LinkError";
  readonly state: LinkStateName;

  constructor(state: LinkStateName, lastError: ConnectError | undefined) {
    const why = lastError === undefined ? "" : ` (last error: ${lastError.message})`;
    super(`the link to the host is down: it ${doing[state]}${why}`, lastError && { cause: lastError });
    this.state = state;
  }
}

const doing: Readonly<Record<LinkStateName, string>> = {
  idle: "has not been given an identity by the host",
  connecting: "is shaking hands",
  registering: "is registering services",
  linked: "is up",
  refreshing: "is up",
  resuming: "is asking whether the host still knows this plugin",
  backoff: "waits to try again",
  closing: "is closing",
  closed: "is closed",
};

export function linkDown(
  state: LinkStateName,
  lastError: ConnectError | undefined,
  code = Code.Unavailable,
): ConnectError {
  const cause = new LinkError(state, lastError);
  return new ConnectError(cause.message, code, undefined, undefined, cause);
}

/** What an answer of the host means for the link. */
export type Failure =
  /** The host does not know the identity. */
  | "unauthenticated"
  /** The host does not serve this. */
  | "unimplemented"
  /** The host said no, and will say it again. */
  | "refused"
  /** Whatever may be better later. */
  | "unavailable";

export function failureOf({ code }: ConnectError): Failure {
  switch (code) {
    case Code.Unauthenticated:
      return "unauthenticated";
    case Code.Unimplemented:
      return "unimplemented";
    case Code.PermissionDenied:
    case Code.InvalidArgument:
    case Code.FailedPrecondition:
    case Code.NotFound:
    case Code.AlreadyExists:
    case Code.OutOfRange:
      return "refused";
    default:
      return "unavailable";
  }
}
