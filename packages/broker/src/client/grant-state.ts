import type { ConnectError } from "@connectrpc/connect";

/** What a plugin knows of its access to one capability. Times are monotonic ms. */
export type GrantState<Grant> =
  | { readonly kind: "none" }
  | { readonly kind: "asking" }
  | Held<Grant>
  | { readonly kind: "denied"; readonly error: ConnectError; readonly untilMs: number }
  | { readonly kind: "closed" };

interface Held<Grant> {
  readonly kind: "held" | "renewing";
  readonly grant: Grant;
  readonly renewAtMs: number;
  readonly expiresAtMs: number;
}

export type GrantEvent<Grant> =
  /** A call needs it. */
  | { readonly type: "used"; readonly nowMs: number }
  | { readonly type: "granted"; readonly grant: Grant; readonly renewAtMs: number; readonly expiresAtMs: number }
  /** The host said no, and will say it again until then. */
  | { readonly type: "denied"; readonly error: ConnectError; readonly untilMs: number }
  /** The host could not be asked. */
  | { readonly type: "failed" }
  | { readonly type: "due" }
  | { readonly type: "renewed"; readonly renewAtMs: number; readonly expiresAtMs: number }
  /** The host could not be asked; there is time to try again. */
  | { readonly type: "renewal-failed"; readonly renewAtMs: number }
  /** There is no further renewal of this grant. */
  | { readonly type: "renewal-refused" }
  /** A call under `grant` heard that the host does not know it. */
  | { readonly type: "unknown"; readonly grant: Grant }
  /** The plugin has another identity, or none: grants of the old one are void. */
  | { readonly type: "identity" }
  | { readonly type: "close" };

/**
 * State after one event; the same object when the event changes nothing. Pure.
 *
 * | state | event | next | what is done there |
 * |---|---|---|---|
 * | none | used | asking | nothing: nobody asks before the first use |
 * | asking | granted | held | asks the host, once for all calls that wait |
 * | asking | denied | denied | the calls that wait fail |
 * | asking | failed | none | the calls that wait fail |
 * | asking | identity | asking, anew | the calls wait on |
 * | held | due | renewing | waits until it is due |
 * | held, renewing | used, once it is over | asking | |
 * | held, renewing | unknown, of this grant | none | |
 * | held, renewing | identity | none | |
 * | renewing | renewed | held | asks for more time; calls use the grant meanwhile |
 * | renewing | renewal-failed | held, due again later | |
 * | renewing | renewal-refused | none | the next call asks for another; open streams keep the old one to its end |
 * | denied | used, from `untilMs` on | asking | calls fail without a question to the host |
 * | denied | identity | none | |
 * | any | close | closed | |
 *
 * Everything else changes nothing: it comes from a question whose answer no longer matters.
 */
export function transition<Grant>(state: GrantState<Grant>, event: GrantEvent<Grant>): GrantState<Grant> {
  if (state.kind === "closed") return state;
  if (event.type === "close") return { kind: "closed" };
  switch (state.kind) {
    case "none":
      return event.type === "used" ? { kind: "asking" } : state;
    case "asking":
      return afterAnswer(state, event);
    case "held":
    case "renewing":
      return whileHeld(state, event);
    case "denied":
      if (event.type === "identity") return { kind: "none" };
      return event.type === "used" && event.nowMs >= state.untilMs ? { kind: "asking" } : state;
  }
}

function afterAnswer<Grant>(state: GrantState<Grant>, event: GrantEvent<Grant>): GrantState<Grant> {
  switch (event.type) {
    case "granted":
      return { kind: "held", grant: event.grant, renewAtMs: event.renewAtMs, expiresAtMs: event.expiresAtMs };
    case "denied":
      return { kind: "denied", error: event.error, untilMs: event.untilMs };
    case "failed":
      return { kind: "none" };
    case "identity":
      return { kind: "asking" };
    default:
      return state;
  }
}

function whileHeld<Grant>(state: Held<Grant>, event: GrantEvent<Grant>): GrantState<Grant> {
  if (event.type === "identity") return { kind: "none" };
  if (event.type === "unknown") return event.grant === state.grant ? { kind: "none" } : state;
  if (event.type === "used") return event.nowMs >= state.expiresAtMs ? { kind: "asking" } : state;
  if (state.kind === "held") return event.type === "due" ? { ...state, kind: "renewing" } : state;
  switch (event.type) {
    case "renewed":
      return { kind: "held", grant: state.grant, renewAtMs: event.renewAtMs, expiresAtMs: event.expiresAtMs };
    case "renewal-failed":
      return { ...state, kind: "held", renewAtMs: event.renewAtMs };
    case "renewal-refused":
      return { kind: "none" };
    default:
      return state;
  }
}

/** Parts of the time to live between which a grant is renewed: around the half, so that holders do not come together. */
const earliestShare = 0.45;
const latestShare = 0.55;
/** However short grants live, the host is not asked in a loop. */
const minRenewMs = 100;

/** When to renew what lives for `ttlMs` from now. @param random at least 0 and less than 1. */
export function renewAfterMs(ttlMs: number, random: number): number {
  return Math.max(minRenewMs, ttlMs * (earliestShare + random * (latestShare - earliestShare)));
}
