import { Code, ConnectError } from "@connectrpc/connect";

/** unknown: nobody provides the type. too-old: nobody new enough does. unavailable: nobody who does takes calls now. */
export type SelectionFault = "unknown" | "too-old" | "unavailable";

/** Cause of the errors of a selection that found nobody. */
export class SelectionError extends Error {
  override readonly name = "SelectionError";
  readonly fault: SelectionFault;
  readonly type: string;

  constructor(fault: SelectionFault, type: string, message: string) {
    super(message);
    this.fault = fault;
    this.type = type;
  }
}

/** A strategy of the user threw, or picked what it was not offered. Another one took its place for this call. */
export class StrategyError extends Error {
  override readonly name = "StrategyError";
  readonly type: string;

  constructor(type: string, detail: string, reason?: unknown) {
    super(`the selection of ${type} ${detail}`, reason === undefined ? undefined : { cause: reason });
    this.type = type;
  }
}

export function nobodySelected(
  fault: SelectionFault,
  { type, minVersion }: { readonly type: string; readonly minVersion: string },
): ConnectError {
  const message = says[fault](type, minVersion);
  const code = fault === "unavailable" ? Code.Unavailable : Code.NotFound;
  return new ConnectError(message, code, undefined, undefined, new SelectionError(fault, type, message));
}

const says: Readonly<Record<SelectionFault, (type: string, minVersion: string) => string>> = {
  unknown: (type) => `service ${type} is not registered`,
  "too-old": (type, minVersion) => `no provider of service ${type} has version ${minVersion} or a newer one`,
  unavailable: (type) => `no provider of service ${type} takes calls at present`,
};
