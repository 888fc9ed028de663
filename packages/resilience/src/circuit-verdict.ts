import { Code, type ConnectError } from "@connectrpc/connect";
import type { CallVerdict } from "./circuit-state.ts";
import { isConnectionLost } from "./connection-lost.ts";

/**
 * What an error says about the health of the callee, if the user does not say otherwise.
 *
 * Failure: `unavailable`, `deadline_exceeded`, `internal`, `unknown`, `data_loss`: the codes that stand for an HTTP
 * status of 500 and above, by which Envoy and others judge too. A connection that was lost, too, whatever code the
 * transport has for it (`isConnectionLost`).
 * Ignored: `resource_exhausted`, by which a callee that works limits one caller, or a limit of this process rejects,
 * with a delay of its own; and `canceled`.
 * Success: all others. The callee answered, and what it answered is about the call: `not_found`, `invalid_argument`, …
 */
export function verdictOnError(error: ConnectError): CallVerdict {
  switch (error.code) {
    case Code.Unavailable:
    case Code.DeadlineExceeded:
    case Code.Internal:
    case Code.Unknown:
    case Code.DataLoss:
      return "failure";
    case Code.ResourceExhausted:
      return "ignored";
    case Code.Canceled:
      return isConnectionLost(error) ? "failure" : "ignored";
    case Code.Aborted:
      return isConnectionLost(error) ? "failure" : "success";
    default:
      return "success";
  }
}
