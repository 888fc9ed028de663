import { type ContextKey, createContextKey, type Interceptor } from "@connectrpc/connect";
import { cuttableCall } from "@cpg/core/extension";
import type { CallGrant } from "../capabilities/capability-grant-key.ts";

/** A call of a capability that was let in. */
export interface CallInProgress {
  readonly grant: CallGrant;
  /** Aborts when the grant ends, with the `permission_denied` for the caller. */
  readonly signal: AbortSignal;
  /** Something still works on the call, until the function returned is called. When nothing does, its place is free. */
  hold(): () => void;
}

/** Of RPCs; for the broker alone. */
export const callInProgressKey: ContextKey<CallInProgress | undefined> = createContextKey<CallInProgress | undefined>(
  undefined,
  { description: "call of a capability" },
);

/** @param leave is called once, when nobody holds the call any more. */
export function createCallInProgress(grant: CallGrant, signal: AbortSignal, leave: () => void): CallInProgress {
  let holders = 0;
  let isOver = false;
  return {
    grant,
    signal,
    hold() {
      let isHeld = true;
      holders += 1;
      return () => {
        if (!isHeld) return;
        isHeld = false;
        holders -= 1;
        if (holders > 0 || isOver) return;
        isOver = true;
        leave();
      };
    },
  };
}

/**
 * Server interceptor, the outermost: ends calls with their grant. A handler that goes on when its caller has left keeps
 * its place among the calls of the grant until it is done; one that sends a stream has none any more.
 */
export const endWithGrant: Interceptor = (next) => async (req) => {
  const call = req.contextValues.get(callInProgressKey);
  if (call === undefined) return await next(req);
  const { signal } = call;
  const release = call.hold();
  const answer: typeof next = async (request) => {
    try {
      return await next(request);
    } finally {
      release();
    }
  };
  try {
    return await cuttableCall(answer, req, (cut) => {
      const onAbort = (): void => cut(signal.reason);
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
      return () => signal.removeEventListener("abort", onAbort);
    });
  } catch (reason) {
    if (signal.aborted) release();
    throw reason;
  }
};
