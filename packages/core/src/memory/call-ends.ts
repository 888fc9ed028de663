import { Code, ConnectError } from "@connectrpc/connect";

// Reasons are constants where they can be: an error with a stack for each call that ends would cost more than the call.

/** How a handler's signal aborts after its call has succeeded. */
export const callSucceeded = new ConnectError("the call has ended", Code.Canceled);
/** How it aborts when its caller went away. */
export const callerLeft = new ConnectError("the caller canceled the call", Code.Canceled);

export const deadlineExceeded = (): ConnectError => new ConnectError("the operation timed out", Code.DeadlineExceeded);

export const transportClosed = (): ConnectError => new ConnectError("the transport is closed", Code.Canceled);

export const serverStopped = (): ConnectError => new ConnectError("the plugin has been stopped", Code.Unavailable);

/** What a caller that aborted its signal gets, as Connect's transports have it. */
export function abortedBy(signal: AbortSignal): ConnectError {
  return ConnectError.from(signal.reason, Code.Canceled);
}
