import type { RetryDelay } from "./retry-delay.ts";

/** One call, made of several attempts at the same time. */
export type HedgedCallState =
  | {
      readonly kind: "open";
      /** Attempts that began. */
      readonly started: number;
      /** Attempts that have not ended. At least 1. */
      readonly running: number;
      /** Whether another may begin. */
      readonly mayHedge: boolean;
    }
  | { readonly kind: "settled" };

export type HedgeEvent =
  /** The delay is over. `granted`: the budget has a hedge for it. */
  | { readonly kind: "due"; readonly granted: boolean }
  | { readonly kind: "answered" }
  /** `fatal`: the error is as good as an answer. */
  | { readonly kind: "failed"; readonly fatal: boolean; readonly pushback: RetryDelay }
  /** The caller gave up. */
  | { readonly kind: "aborted" };

export type HedgeEffect =
  | { readonly kind: "none" }
  /** Begin one more attempt; if the state says so, another after one more delay. */
  | { readonly kind: "start" }
  /** No more attempts: the timer ends. */
  | { readonly kind: "stop" }
  /** The next attempt begins no sooner than after `ms`. */
  | { readonly kind: "postpone"; readonly ms: number }
  /** What the event brings is the result of the call. All other attempts are cancelled, the timer ends. */
  | { readonly kind: "settle" };

/** A call whose first attempt began. */
export function firstAttempt(maxAttempts: number): HedgedCallState {
  return { kind: "open", started: 1, running: 1, mayHedge: maxAttempts > 1 };
}

/**
 * The state after an event. Pure.
 *
 * | state | event | next state | effect |
 * |---|---|---|---|
 * | open, may hedge | due, granted | one more started and running; may hedge if fewer than `maxAttempts` started | start |
 * | open, may hedge | due, not granted | may not hedge | none |
 * | open, may not hedge | due | same | none |
 * | open | answered, or failed and fatal, or aborted | settled | settle |
 * | open, one running | failed | settled | settle |
 * | open, more running | failed, pushback "never" | one fewer running, may not hedge | stop |
 * | open, more running | failed, pushback "after" | one fewer running | postpone if it may hedge |
 * | open, more running | failed, no pushback | one fewer running | none |
 * | settled | any | same | none |
 */
export function afterHedgeEvent(
  state: HedgedCallState,
  event: HedgeEvent,
  maxAttempts: number,
): { readonly state: HedgedCallState; readonly effect: HedgeEffect } {
  if (state.kind === "settled") return { state, effect: none };
  switch (event.kind) {
    case "due": {
      if (!state.mayHedge) return { state, effect: none };
      if (!event.granted) return { state: { ...state, mayHedge: false }, effect: none };
      const started = state.started + 1;
      const running = state.running + 1;
      return { state: { kind: "open", started, running, mayHedge: started < maxAttempts }, effect: { kind: "start" } };
    }
    case "failed":
      return event.fatal || state.running === 1 ? settled : afterOneFailed(state, event.pushback);
    case "answered":
    case "aborted":
      return settled;
  }
}

function afterOneFailed(
  state: HedgedCallState & { readonly kind: "open" },
  pushback: RetryDelay,
): { readonly state: HedgedCallState; readonly effect: HedgeEffect } {
  const running = state.running - 1;
  if (pushback.kind === "never") return { state: { ...state, running, mayHedge: false }, effect: { kind: "stop" } };
  const postpones = pushback.kind === "after" && state.mayHedge;
  return { state: { ...state, running }, effect: postpones ? { kind: "postpone", ms: pushback.ms } : none };
}

const none: HedgeEffect = { kind: "none" };

const settled = { state: { kind: "settled" }, effect: { kind: "settle" } } as const;
