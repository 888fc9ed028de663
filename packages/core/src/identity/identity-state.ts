/** Why a runtime identity ended. */
export type IdentityEndReason = "expired" | "revoked" | "superseded" | "released" | "evicted" | "closed";

/** Life of one runtime identity. Times are of the monotonic clock. */
export type IdentityState =
  | { readonly kind: "unused"; readonly expiresAtMs: number }
  | { readonly kind: "used"; readonly expiresAtMs: number }
  | { readonly kind: "ended"; readonly reason: IdentityEndReason };

/**
 * The machine; each function below is one event. "ended" is final: no event leaves it.
 *
 * | state        | event             | next state        |
 * |--------------|-------------------|-------------------|
 * | -            | issue             | unused            |
 * | unused       | use               | used              |
 * | used         | use               | used (the same)   |
 * | unused, used | renew             | used, full time   |
 * | unused, used | end(reason)       | ended             |
 * | unused, used | time, before      | the same          |
 * | unused, used | time, at or after | ended ("expired") |
 * | unused       | evict             | ended ("evicted") |
 * | used         | evict             | used (the same)   |
 */
export function issued(nowMs: number, ttlMs: number): IdentityState {
  return { kind: "unused", expiresAtMs: nowMs + ttlMs };
}

export function afterUse(state: IdentityState): IdentityState {
  return state.kind === "unused" ? { kind: "used", expiresAtMs: state.expiresAtMs } : state;
}

export function afterRenewal(state: IdentityState, nowMs: number, ttlMs: number): IdentityState {
  return state.kind === "ended" ? state : { kind: "used", expiresAtMs: nowMs + ttlMs };
}

export function afterEnd(state: IdentityState, reason: IdentityEndReason): IdentityState {
  return state.kind === "ended" ? state : { kind: "ended", reason };
}

export function afterTime(state: IdentityState, nowMs: number): IdentityState {
  return state.kind === "ended" || nowMs < state.expiresAtMs ? state : { kind: "ended", reason: "expired" };
}

export function afterEviction(state: IdentityState): IdentityState {
  return state.kind === "unused" ? { kind: "ended", reason: "evicted" } : state;
}
