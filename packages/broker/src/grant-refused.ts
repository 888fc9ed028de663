import { type Code, ConnectError } from "@connectrpc/connect";

/** Note on errors with which a broker refuses a call because of its grant; a capability's own errors do not have it. */
const noteName = "x-plugin-grant";
const noteValue = "refused";

/**
 * An error of the broker, not of the capability: the call was not passed on, and the grant that it came with is good for
 * nothing. Its holder asks for another and, since nothing ran, may send the call again.
 */
export function grantRefused(message: string, code: Code, cause?: unknown): ConnectError {
  return new ConnectError(message, code, { [noteName]: noteValue }, undefined, cause);
}

/** Whether a broker of ours made this error with `grantRefused`. */
export function isGrantRefused({ metadata }: ConnectError): boolean {
  return metadata.get(noteName) === noteValue;
}
