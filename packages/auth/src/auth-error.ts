import { Code, ConnectError } from "@connectrpc/connect";

// One text for each code: a caller that learns why a credential was refused learns how to make a better one.

/** For a call without a credential, or with one that does not hold. */
export function unauthenticated(): ConnectError {
  return new ConnectError("the call carries no valid credential", Code.Unauthenticated);
}

/** For a call of somebody who may not do that. */
export function permissionDenied(): ConnectError {
  return new ConnectError("the caller may not do this", Code.PermissionDenied);
}

/** For a credential about which nobody can tell now. */
export function cannotTell(): ConnectError {
  return new ConnectError("credentials cannot be checked at the moment", Code.Unavailable);
}
