import { Code, ConnectError } from "@connectrpc/connect";
import { ConnectionError } from "../wire/call-error.ts";

// Reasons are constants where they can be: an error with a stack for each call that ends would cost more than the call.

/** How a handler's signal aborts after its call has succeeded. */
export const callSucceeded = new ConnectError("the call has ended", Code.Canceled);
/** How it aborts when its caller went away. */
export const callerLeft = new ConnectError("the caller canceled the call", Code.Canceled);

export const deadlineExceeded = (): ConnectError => new ConnectError("the operation timed out", Code.DeadlineExceeded);

export const transportClosed = (): ConnectError => new ConnectError("the transport is closed", Code.Canceled);

/** With the cause that a lost connection has: a host that launched the plugin tells by it that its end is the reason. */
export const serverStopped = (): ConnectError => {
  const message = "the plugin has been stopped";
  return new ConnectError(
    message,
    Code.Unavailable,
    undefined,
    undefined,
    new ConnectionError("memory", "call", message),
  );
};

/** What a caller that aborted its signal gets, as Connect's transports have it. */
export function abortedBy(signal: AbortSignal): ConnectError {
  return ConnectError.from(signal.reason, Code.Canceled);
}
