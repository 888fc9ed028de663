import { Code, type ConnectError } from "@connectrpc/connect";
import type { RuntimeIdentity } from "@cpg/core";
import { retryLater } from "@cpg/resilience";

export interface CallerLimits {
  /** Routed calls of one caller at a time. */
  readonly maxCallsPerCaller: number;
  /** Routed calls at a time. */
  readonly maxCalls: number;
}

/** The callers of routed calls, each with the calls that it has open. */
export interface Callers {
  /** Calls in flight. */
  readonly inFlight: number;
  /**
   * Counts a call in. `cut` is called if the identity of its caller ends before the function returned has been called,
   * which ends the call, once.
   * @throws {ConnectError} `resource_exhausted`, with a retry delay.
   */
  begin(identity: RuntimeIdentity, cut: (error: ConnectError) => void): () => void;
}

/** A caller's own calls may end at any time; a second is not long to wait, nor many refusals. */
const retryAfterMs = 1_000;

interface OpenCall {
  readonly cut: (error: ConnectError) => void;
}

/** Keeps nothing of a caller without open calls. */
export function createCallers({ maxCallsPerCaller, maxCalls }: CallerLimits): Callers {
  const callers = new Map<RuntimeIdentity, { readonly calls: Set<OpenCall>; readonly release: () => void }>();
  let inFlight = 0;

  const callsOf = (identity: RuntimeIdentity): Set<OpenCall> => {
    const known = callers.get(identity);
    if (known !== undefined) return known.calls;
    const calls = new Set<OpenCall>();
    const release = identity.onEnd((error) => {
      callers.delete(identity);
      for (const { cut } of [...calls]) cut(error);
    });
    callers.set(identity, { calls, release });
    return calls;
  };

  return {
    get inFlight() {
      return inFlight;
    },
    begin(identity, cut) {
      if (inFlight >= maxCalls) throw tooManyCalls(`this host has ${maxCalls} routed calls open`);
      const calls = callsOf(identity);
      if (calls.size >= maxCallsPerCaller) {
        throw tooManyCalls(`${identity.runtimeId} has ${maxCallsPerCaller} routed calls open`);
      }
      const call: OpenCall = { cut };
      calls.add(call);
      inFlight++;
      return () => {
        if (!calls.delete(call)) return;
        inFlight--;
        if (calls.size > 0 || callers.get(identity)?.calls !== calls) return;
        callers.get(identity)?.release();
        callers.delete(identity);
      };
    },
  };
}

function tooManyCalls(message: string): ConnectError {
  return retryLater(message, Code.ResourceExhausted, retryAfterMs);
}
