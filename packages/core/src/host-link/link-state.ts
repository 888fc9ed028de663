/**
 * Where the link of a plugin to its host stands. `Session` is what the plugin holds at a host, `Given` the identity that
 * a managing host handed over; the machine looks into neither.
 */
export type LinkState<Session, Given> =
  | Idle
  | Connecting<Given>
  | Registering<Session>
  | { readonly kind: "linked"; readonly session: Session }
  | { readonly kind: "refreshing"; readonly session: Session }
  | Resuming<Session>
  | {
      readonly kind: "backoff";
      readonly next: Connecting<Given> | Registering<Session> | Resuming<Session>;
      /** The host answered, and said no: asking again soon will not help. */
      readonly refused: boolean;
    }
  | { readonly kind: "closing" }
  | { readonly kind: "closed" };

interface Idle {
  readonly kind: "idle";
}

interface Connecting<Given> {
  readonly kind: "connecting";
  /** Undefined: the handshake has to ask for an identity. */
  readonly given: Given | undefined;
}

interface Registering<Session> {
  readonly kind: "registering";
  readonly session: Session;
}

interface Resuming<Session> {
  readonly kind: "resuming";
  readonly session: Session;
}

export type LinkStateName = LinkState<unknown, unknown>["kind"];

export type LinkEvent<Session, Given> =
  | { readonly type: "start" }
  | { readonly type: "identity-given"; readonly given: Given }
  | { readonly type: "connected"; readonly session: Session }
  | { readonly type: "registered" }
  | { readonly type: "expiring" }
  | { readonly type: "refreshed"; readonly session: Session }
  | { readonly type: "refresh-failed" }
  | { readonly type: "resumed" }
  | { readonly type: "unauthenticated" }
  /** `resume`: the identity may still be good when the host is back. */
  | { readonly type: "unavailable"; readonly resume: boolean }
  /** As `unavailable`, of a host that is not the only one. */
  | { readonly type: "lost" }
  | { readonly type: "refused" }
  | { readonly type: "retry" }
  | { readonly type: "close" }
  | { readonly type: "closed" };

/**
 * State after one event; the same object when the event changes nothing. Pure.
 *
 * | state | event | next | what the link does there |
 * |---|---|---|---|
 * | idle | start | connecting | nothing: waits to be started, or to be given an identity |
 * | any but closing, closed | identity-given | connecting, given | |
 * | connecting | connected | registering | handshake; asks for an identity unless one was given |
 * | connecting | unavailable | backoff → connecting | |
 * | connecting | refused, unauthenticated | backoff (refused) → connecting | |
 * | registering | registered | linked | registers services, reports health |
 * | registering | unavailable | backoff → registering | |
 * | registering | lost | backoff → connecting | |
 * | registering | unauthenticated, refused | backoff (refused) → connecting | |
 * | linked | expiring | refreshing | signs of life, health on change |
 * | linked | unavailable, resume | backoff → resuming | |
 * | linked | unavailable | backoff → connecting | |
 * | linked | unauthenticated | connecting | |
 * | refreshing | refreshed | linked, new session | handshake and registration for a new identity; calls use the old one |
 * | refreshing | refresh-failed | linked, old session | |
 * | resuming | resumed | linked | asks whether the host still knows the identity |
 * | resuming | unavailable | backoff → resuming | |
 * | resuming | lost, unauthenticated, refused | connecting | |
 * | backoff → x | retry | x | waits |
 * | any but closing, closed | close | closing | takes back what the host holds |
 * | closing | closed | closed | |
 *
 * Everything else changes nothing: it comes from an activity that is over.
 */
export function transition<Session, Given>(
  state: LinkState<Session, Given>,
  event: LinkEvent<Session, Given>,
): LinkState<Session, Given> {
  if (state.kind === "closed") return state;
  if (state.kind === "closing") return event.type === "closed" ? { kind: "closed" } : state;
  if (event.type === "close") return { kind: "closing" };
  if (event.type === "identity-given") return { kind: "connecting", given: event.given };
  switch (state.kind) {
    case "idle":
      return event.type === "start" ? anew : state;
    case "connecting":
      if (event.type === "connected") return { kind: "registering", session: event.session };
      if (event.type === "unavailable") return { kind: "backoff", next: state, refused: false };
      if (event.type === "refused" || event.type === "unauthenticated") {
        return { kind: "backoff", next: state, refused: true };
      }
      return state;
    case "registering":
      if (event.type === "registered") return { kind: "linked", session: state.session };
      if (event.type === "unavailable") return { kind: "backoff", next: state, refused: false };
      if (event.type === "lost") return { kind: "backoff", next: anew, refused: false };
      // Not connecting at once: a host that refuses the identity it has just issued would be asked in a loop.
      if (event.type === "unauthenticated" || event.type === "refused") {
        return { kind: "backoff", next: anew, refused: true };
      }
      return state;
    case "linked":
      if (event.type === "expiring") return { kind: "refreshing", session: state.session };
      if (event.type === "unauthenticated") return anew;
      if (event.type === "unavailable") {
        const next = event.resume ? ({ kind: "resuming", session: state.session } as const) : anew;
        return { kind: "backoff", next, refused: false };
      }
      return state;
    case "refreshing":
      if (event.type === "refreshed") return { kind: "linked", session: event.session };
      if (event.type === "refresh-failed") return { kind: "linked", session: state.session };
      return state;
    case "resuming":
      if (event.type === "resumed") return { kind: "linked", session: state.session };
      if (event.type === "unavailable") return { kind: "backoff", next: state, refused: false };
      if (event.type === "lost" || event.type === "unauthenticated" || event.type === "refused") return anew;
      return state;
    case "backoff":
      return event.type === "retry" ? state.next : state;
  }
}

/** The handshake has to ask for an identity. */
const anew: Connecting<never> = { kind: "connecting", given: undefined };

/**
 * The session that calls use; undefined while the link is down. Also while it registers: the host knows the identity then,
 * and may send calls as soon as it has the registration, whose answer is still on its way.
 */
export function callSession<Session>(state: LinkState<Session, unknown>): Session | undefined {
  return state.kind === "registering" ? state.session : linkedSession(state);
}

/** The session under which all is registered; undefined while the link is not up. */
export function linkedSession<Session>(state: LinkState<Session, unknown>): Session | undefined {
  return state.kind === "linked" || state.kind === "refreshing" ? state.session : undefined;
}

/** The session whose identity is the plugin's: also while the host is away and may come back. */
export function knownSession<Session>(state: LinkState<Session, unknown>): Session | undefined {
  if (state.kind === "resuming") return state.session;
  if (state.kind === "backoff" && state.next.kind === "resuming") return state.next.session;
  return linkedSession(state);
}

/** The session that this state works on, its own or one that it will return to. */
export function ownSession<Session>(state: LinkState<Session, unknown>): Session | undefined {
  if (state.kind === "backoff") return state.next.kind === "connecting" ? undefined : state.next.session;
  return "session" in state ? state.session : undefined;
}
