import { type ContextKey, createContextKey, type Interceptor } from "@connectrpc/connect";
import { cuttableCall } from "@cpg/core/extension";
import type { CallGrant } from "../capabilities/capability-grant-key.ts";

/** A call of a capability that was let in. */
export interface CallInProgress {
  readonly grant: CallGrant;
  /** Aborts when the grant ends, with the `permission_denied` for the caller. */
  readonly signal: AbortSignal;
  /** Whoever serves the call ends it with the grant from now on. Without that its response is cut. */
  takeOver(): void;
  /** Something still works on the call, until the function returned is called. When nothing does, its place is free. */
  hold(): () => void;
}

/** Of RPCs; for the broker alone. */
export const callInProgressKey: ContextKey<CallInProgress | undefined> = createContextKey<CallInProgress | undefined>(
  undefined,
  { description: "call of a capability" },
);

export interface CallParts extends Pick<CallInProgress, "grant" | "signal"> {
  /** Called when the grant ends before the call does, unless somebody took over. */
  cut(): void;
  /** Called once, when nobody holds the call any more. */
  leave(): void;
}

export function createCallInProgress({ grant, signal, cut, leave }: CallParts): CallInProgress {
  let holders = 0;
  let isOver = false;
  signal.addEventListener("abort", cut, { once: true });
  const takeOver = (): void => signal.removeEventListener("abort", cut);
  return {
    grant,
    signal,
    takeOver,
    hold() {
      let isHeld = true;
      holders += 1;
      return () => {
        if (!isHeld) return;
        isHeld = false;
        holders -= 1;
        if (holders > 0 || isOver) return;
        isOver = true;
        takeOver();
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
  call.takeOver();
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
