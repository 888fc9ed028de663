import { Code, ConnectError } from "@connectrpc/connect";
import { markUnprocessed } from "./unprocessed.ts";

/**
 * The error of a call in the terms of Connect. Errors of policies are known by the marks that cockatiel puts on them, so
 * that nothing of it needs to be installed:
 *
 * | error | code |
 * |---|---|
 * | any, after the signal of the call was aborted | that of the signal's reason, or `canceled` |
 * | a ConnectError | its own; it is not changed |
 * | TaskCancelledError | `deadline_exceeded`, since the caller did not cancel |
 * | BrokenCircuitError, IsolatedCircuitError, HydratingCircuitError | `unavailable` |
 * | BulkheadRejectedError | `resource_exhausted` |
 * | others | as `ConnectError.from` has it |
 *
 * The policy's error is the cause.
 * @param hasRun whether the policy let the call run at all. If not, its rejection proves that it did not.
 */
export function policyError(reason: unknown, signal: AbortSignal, hasRun: boolean): ConnectError {
  if (signal.aborted) return ConnectError.from(signal.reason, Code.Canceled);
  if (reason instanceof ConnectError) return reason;
  if (hasMark(reason, "isTaskCancelledError")) return policyEnded(reason);
  const isCircuit = hasMark(reason, "isBrokenCircuitError") || hasMark(reason, "isHydratingCircuitError");
  const isBulkhead = hasMark(reason, "isBulkheadRejectedError");
  if (!isCircuit && !isBulkhead) return ConnectError.from(reason);
  const [message, code]: [string, Code] = isCircuit
    ? ["the circuit breaker lets no call through now", Code.Unavailable]
    : ["too many calls at a time", Code.ResourceExhausted];
  const error = new ConnectError(message, code, undefined, undefined, reason);
  return hasRun ? error : markUnprocessed(error);
}

/** A policy ended the call, or an attempt of it, that its caller would have waited for: its time was up. */
export function policyEnded(reason: unknown): ConnectError {
  if (reason instanceof ConnectError) return reason;
  return new ConnectError("the policy ended the call", Code.DeadlineExceeded, undefined, undefined, reason);
}

/**
 * The refusal to send the messages of a request stream a second time. It has the code and metadata of the error after
 * which the policy tried, so that those further out judge the call by what happened.
 */
export function streamConsumed(previous: ConnectError | undefined): ConnectError {
  const { code = Code.FailedPrecondition, metadata } = previous ?? {};
  const message =
    "the policy ran a call again whose request stream was read already; " +
    "set requestSourceKey, or use a policy that does not run such calls again";
  return new ConnectError(message, code, metadata, undefined, previous);
}

function hasMark(reason: unknown, mark: string): boolean {
  return typeof reason === "object" && reason !== null && Reflect.get(reason, mark) === true;
}
