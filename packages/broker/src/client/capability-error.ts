import { type Code, ConnectError } from "@connectrpc/connect";

/** Why a plugin has no access: cause of the errors with which its calls fail before they are sent. */
export type CapabilityFault =
  /** The host refuses it, or has nothing of the kind. */
  | "denied"
  /** The host could not be asked. */
  | "unreachable"
  /** A grant that another plugin derived has ended: only that plugin can give another. */
  | "ended"
  /** The client was closed. */
  | "closed";

/** Cause of the errors of a capability client's own. */
export class CapabilityError extends Error {
  override readonly name = "CapabilityError";
  readonly fault: CapabilityFault;
  /** Of the capability. */
  readonly capabilityType: string;

  constructor(fault: CapabilityFault, capabilityType: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.fault = fault;
    this.capabilityType = capabilityType;
  }
}

export interface CapabilityFailure {
  readonly fault: CapabilityFault;
  readonly type: string;
  readonly message: string;
  readonly code: Code;
  /** What the host answered. */
  readonly reason?: unknown;
}

export function capabilityFailed({ fault, type, message, code, reason }: CapabilityFailure): ConnectError {
  return new ConnectError(message, code, undefined, undefined, new CapabilityError(fault, type, message, reason));
}
