import { Code, ConnectError } from "@connectrpc/connect";
import type { IdentityEndReason } from "./identity-state.ts";

/** What is wrong with the credentials of a caller. */
export type IdentityFault = "missing" | "unknown" | "wrong-token" | IdentityEndReason;

/** Cause of the `unauthenticated` that a caller without a valid runtime identity gets. Stays in this process. */
export class IdentityError extends Error {
  override readonly name = "IdentityError";
  readonly fault: IdentityFault;

  constructor(fault: IdentityFault) {
    super(`runtime identity: ${fault}`);
    this.fault = fault;
  }
}

/** One text for every fault: a caller that guesses learns nothing from it. */
export function invalidIdentity(fault: IdentityFault): ConnectError {
  return new ConnectError(
    "a valid runtime identity is required: shake hands, then send X-Plugin-Runtime-ID and Authorization: Bearer",
    Code.Unauthenticated,
    undefined,
    undefined,
    new IdentityError(fault),
  );
}

/** What open calls and streams of an identity end with. Their caller has proven who it is, so it may know why. */
export function endedIdentity(reason: IdentityEndReason): ConnectError {
  return new ConnectError(
    `the runtime identity ended: ${reason}; shake hands again`,
    Code.Unauthenticated,
    undefined,
    undefined,
    new IdentityError(reason),
  );
}
