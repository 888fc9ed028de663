import { Code, ConnectError } from "@connectrpc/connect";
import { within } from "@cpg/core/extension";
import type { Clock } from "@cpg/resilience";

/** What becomes of one question. */
export type PolicyAnswer =
  | { readonly allowed: true }
  | {
      readonly allowed: false;
      /** For the plugin. */
      readonly error: ConnectError;
      /** Of the policy's own, which is none of the plugin's affair. */
      readonly failure?: unknown;
    };

export interface PolicyQuestion {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Aborts when nobody waits for the answer any more: then `askPolicy` rejects with its reason. */
  readonly signal: AbortSignal;
  ask(signal: AbortSignal): unknown;
}

/** Asks a policy, sync or async, within a bound. What is no clear yes is a no. */
export async function askPolicy({ clock, timeoutMs, signal, ask }: PolicyQuestion): Promise<PolicyAnswer> {
  let answer: unknown;
  try {
    answer = await within(clock, timeoutMs, async (asking) => await ask(asking), tooSlow, signal);
  } catch (reason) {
    signal.throwIfAborted();
    const isWord = reason instanceof ConnectError && reason.code === Code.PermissionDenied;
    return isWord ? { allowed: false, error: reason } : { allowed: false, error: denied(), failure: reason };
  }
  if (answer === true) return { allowed: true };
  if (answer === false) return { allowed: false, error: denied() };
  return { allowed: false, error: denied(), failure: new TypeError("allow must answer true or false") };
}

function tooSlow(): Error {
  return new ConnectError("the policy of the broker did not answer in time", Code.DeadlineExceeded);
}

function denied(): ConnectError {
  return new ConnectError("the policy of this host denies it", Code.PermissionDenied);
}
