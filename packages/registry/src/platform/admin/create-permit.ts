import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { within } from "@cpg/core/extension";
import type { Clock } from "@cpg/resilience";
import type { AdminOptions } from "./admin-options.ts";

export interface PermitParts {
  readonly authorize: AdminOptions["authorize"];
  readonly clock: Clock;
  /** Hears of what `authorize` threw, which no caller gets to see. */
  onError(error: unknown): void;
}

/** Longest time that a decision may take. */
const decisionMs = 10_000;

/** Lets a call pass, or refuses it. @throws {ConnectError} as `AdminOptions.authorize` has it; the reason of the call's signal. */
export function createPermit({ authorize, clock, onError }: PermitParts): (context: HandlerContext) => Promise<void> {
  return async (context) => {
    const refusal = (cause?: unknown): ConnectError =>
      new ConnectError(
        `not allowed to call ${context.method.name}`,
        Code.PermissionDenied,
        undefined,
        undefined,
        cause,
      );
    let answer: unknown;
    try {
      const late = () => new Error(`admin.authorize took longer than ${decisionMs} ms`);
      answer = await within(clock, decisionMs, async () => authorize(context), late, context.signal);
    } catch (reason) {
      context.signal.throwIfAborted();
      if (reason instanceof ConnectError) throw reason;
      onError(reason);
      throw refusal(reason);
    }
    // Nothing but a clear yes, whatever an untyped function returns.
    if (answer !== true) throw refusal();
  };
}
