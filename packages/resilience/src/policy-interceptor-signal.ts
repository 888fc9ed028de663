import { policyEnded } from "./policy-interceptor-error.ts";

/** The signal of one run of a call inside a policy. */
export interface RunSignal {
  readonly signal: AbortSignal;
  /** From now on it aborts with the call only: policies abort their signal when they are done with a call. */
  leavePolicy(): void;
  /** The run is over: no listener is left, and what still looks at the signal sees it aborted. */
  close(): void;
}

const over = new Error("the call is over");

/** A signal that aborts with that of the call, for its reason, and with that of the policy, as `policyEnded`. */
export function runSignal(call: AbortSignal, policy: AbortSignal | undefined): RunSignal {
  const run = new AbortController();
  const onCall = () => {
    leavePolicy();
    run.abort(call.reason);
  };
  const onPolicy = () => {
    call.removeEventListener("abort", onCall);
    // Policies pass the abort of the call on, perhaps before we hear of it, and without its reason.
    run.abort(call.aborted ? call.reason : policyEnded(policy?.reason));
  };
  const leavePolicy = () => policy?.removeEventListener("abort", onPolicy);
  if (call.aborted) {
    run.abort(call.reason);
  } else if (policy?.aborted) {
    onPolicy();
  } else {
    call.addEventListener("abort", onCall, { once: true });
    if (policy !== call) policy?.addEventListener("abort", onPolicy, { once: true });
  }
  return {
    signal: run.signal,
    leavePolicy,
    close() {
      call.removeEventListener("abort", onCall);
      leavePolicy();
      run.abort(over);
    },
  };
}
