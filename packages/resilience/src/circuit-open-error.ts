import { Code, type ConnectError } from "@connectrpc/connect";
import type { CircuitKind } from "./circuit-state.ts";
import { retryLater } from "./retry-delay.ts";
import { markUnprocessed } from "./unprocessed.ts";

/** The cause of the error with which a circuit breaker rejects a call. Stays in this process. */
export class CircuitOpenError extends Error {
  override readonly name = "CircuitOpenError";
  readonly key: string;
  readonly state: CircuitKind;
  /** When it may be worth to try again. */
  readonly retryAfterMs: number;

  constructor(key: string, state: CircuitKind, retryAfterMs: number) {
    super(`the circuit of ${key} is ${state}`);
    this.key = key;
    this.state = state;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The rejection, which proves that the call did not run. Its message does not name the key, as it may travel on. */
export function circuitOpen(key: string, state: CircuitKind, retryAfterMs: number): ConnectError {
  const cause = new CircuitOpenError(key, state, retryAfterMs);
  return markUnprocessed(
    retryLater("the circuit breaker lets no call through now", Code.Unavailable, retryAfterMs, cause),
  );
}
