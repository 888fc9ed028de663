import { Code, ConnectError } from "@connectrpc/connect";
import { within } from "@cpg/core/extension";
import { type Clock, readRetryDelay } from "@cpg/resilience";
import { CapabilityError, capabilityFailed } from "./capability-error.ts";
import type { CapabilityLink } from "./capability-link.ts";
import type { GrantSource, LiveGrant } from "./grant-source.ts";
import { type GrantEvent, type GrantState, renewAfterMs, transition } from "./grant-state.ts";

/** A plugin's access to one capability, asked for when it is needed and kept for as long as it can be. */
export interface HeldGrant {
  readonly state: GrantState<LiveGrant>["kind"];
  /** The grant now, without asking for one. */
  readonly current: LiveGrant | undefined;
  /**
   * The grant, as soon as there is one. All who wait share one question.
   * @throws {ConnectError} what the host answered (cause: CapabilityError); `deadline_exceeded` after `boundMs`; the reason
   * of `signal`.
   */
  get(signal: AbortSignal | undefined, boundMs: number): Promise<LiveGrant>;
  /** The host does not know it any more: the next `get` asks for another. */
  forget(grant: LiveGrant): void;
  /** Gives the grant back; `get` fails from now on. Never fails. Idempotent. */
  close(): Promise<void>;
}

export interface HeldGrantOptions {
  readonly type: string;
  readonly source: GrantSource;
  readonly link: Pick<CapabilityLink, "onIdentityChange">;
  readonly clock: Clock;
  readonly random: () => number;
  /** Longest wait for the link to find out that the host has forgotten the plugin, in ms. */
  readonly attemptMs: number;
  /** Time for which a refusal is remembered, in ms, unless the host names another. */
  readonly deniedMs: number;
}

type State = GrantState<LiveGrant>;
type Event = GrantEvent<LiveGrant>;

/** Codes of the answers that will be the same when asked again at once. */
const refusals: ReadonlySet<Code> = new Set([
  Code.PermissionDenied,
  Code.NotFound,
  Code.InvalidArgument,
  Code.FailedPrecondition,
  Code.Unimplemented,
  Code.ResourceExhausted,
]);
/** After a renewal for which the host could not be asked: when to try again, as a part of what is left. */
const retryShare = 0.25;
/** With less than that left, in ms, a grant is not tried to be renewed again. */
const minLeftMs = 1_000;

/** Holds one grant; the states are those of `transition` in grant-state.ts. */
export function holdGrant(options: HeldGrantOptions): HeldGrant {
  const { type, source, link, clock, random, attemptMs, deniedMs } = options;
  let state: State = { kind: "none" };
  let activity = new AbortController();
  let asked: PromiseWithResolvers<LiveGrant> | undefined;

  const termOf = (ttlMs: number) => {
    const nowMs = clock.monotonic();
    return { renewAtMs: nowMs + renewAfterMs(ttlMs, random()), expiresAtMs: nowMs + ttlMs };
  };

  const ask = async (signal: AbortSignal): Promise<Event> => {
    try {
      const grant = await source.ask(signal);
      return { type: "granted", grant, ...termOf(grant.ttlMs) };
    } catch (reason) {
      signal.throwIfAborted();
      const error = ConnectError.from(reason);
      // The link finds out whether the host still knows the plugin; with a new identity it is asked again.
      if (error.code === Code.Unauthenticated) await clock.sleep(attemptMs, signal);
      if (!refusals.has(error.code)) throw error;
      const delay = readRetryDelay(error, clock);
      const pauseMs = delay.kind === "after" ? delay.ms : deniedMs;
      return { type: "denied", error, untilMs: clock.monotonic() + pauseMs };
    }
  };
  const renew = async ({ grant, expiresAtMs }: State & { kind: "renewing" }, signal: AbortSignal): Promise<Event> => {
    if (!grant.renewable) return { type: "renewal-refused" };
    try {
      const ttlMs = await source.renew(grant, signal);
      return ttlMs === undefined ? { type: "renewal-refused" } : { type: "renewed", ...termOf(ttlMs) };
    } catch (reason) {
      signal.throwIfAborted();
      const { code } = ConnectError.from(reason);
      const leftMs = expiresAtMs - clock.monotonic();
      const isOver = leftMs < minLeftMs || (refusals.has(code) && code !== Code.ResourceExhausted);
      if (isOver) return { type: "renewal-refused" };
      return { type: "renewal-failed", renewAtMs: clock.monotonic() + leftMs * retryShare * (0.5 + random() / 2) };
    }
  };
  /** What is done in a state; resolves with the event that ends it. */
  const perform = async (now: State, signal: AbortSignal): Promise<Event | undefined> => {
    switch (now.kind) {
      case "asking":
        return await ask(signal);
      case "held":
        await clock.sleep(now.renewAtMs - clock.monotonic(), signal);
        return { type: "due" };
      case "renewing":
        return await renew({ ...now, kind: "renewing" }, signal);
      default:
        return undefined;
    }
  };

  const dispatch = (event: Event, error?: ConnectError): void => {
    const before = state;
    const next = transition(state, event);
    if (next === before) return;
    activity.abort("the state has changed");
    activity = new AbortController();
    state = next;
    if (next.kind === "asking") asked ??= waited();
    else settle(next, error);
    begin(next, activity.signal);
  };
  const begin = (now: State, signal: AbortSignal): void => {
    perform(now, signal).then(
      (event) => {
        if (event !== undefined && !signal.aborted) dispatch(event);
      },
      (reason) => {
        if (!signal.aborted) dispatch({ type: "failed" }, ConnectError.from(reason));
      },
    );
  };
  /** Answers those who wait. */
  const settle = (now: State, error: ConnectError | undefined): void => {
    const answer = asked;
    asked = undefined;
    if (answer === undefined) return;
    if ("grant" in now) answer.resolve(now.grant);
    else answer.reject(failure(now, error));
  };
  const failure = (now: State, error: ConnectError | undefined): ConnectError => {
    if (now.kind === "denied") return denied(type, now.error);
    if (now.kind === "closed") return closedError(type);
    const why = error === undefined ? "the plugin has lost its identity" : error.rawMessage;
    const code = error?.code ?? Code.Unavailable;
    return capabilityFailed({
      fault: "unreachable",
      type,
      message: `the host could not be asked for the capability ${type}: ${why}`,
      code: code === Code.Unauthenticated ? Code.Unavailable : code,
      reason: error,
    });
  };

  const stopHearing = link.onIdentityChange(() => dispatch({ type: "identity" }));
  const close = async (): Promise<void> => {
    stopHearing();
    const last = "grant" in state ? state.grant : undefined;
    dispatch({ type: "close" });
    if (last !== undefined) await source.giveBack(last).catch(() => {}); // it expires
  };
  let closing: Promise<void> | undefined;

  return {
    get state() {
      return state.kind;
    },
    get current() {
      return "grant" in state && clock.monotonic() < state.expiresAtMs ? state.grant : undefined;
    },
    async get(signal, boundMs) {
      if (signal?.aborted) throw ConnectError.from(signal.reason, Code.Canceled);
      dispatch({ type: "used", nowMs: clock.monotonic() });
      if ("grant" in state) return state.grant;
      if (asked === undefined) throw failure(state, undefined);
      const { promise } = asked;
      const late = () => new ConnectError(`the host was too slow to grant ${type}`, Code.DeadlineExceeded);
      try {
        return await within(clock, boundMs, () => promise, late, signal);
      } catch (reason) {
        throw signal?.aborted ? ConnectError.from(signal.reason, Code.Canceled) : reason;
      }
    },
    forget: (grant) => dispatch({ type: "unknown", grant }),
    close() {
      closing ??= close();
      return closing;
    },
  };
}

function waited(): PromiseWithResolvers<LiveGrant> {
  const answer = Promise.withResolvers<LiveGrant>();
  answer.promise.catch(() => {}); // whoever waits gets it
  return answer;
}

/** A new error for each call, which has a stack of its own. */
function denied(type: string, answer: ConnectError): ConnectError {
  const { code, rawMessage, cause } = answer;
  // A source that has nothing to ask says why itself.
  if (cause instanceof CapabilityError) {
    return capabilityFailed({ fault: cause.fault, type, message: rawMessage, code, reason: answer });
  }
  const message = `the host does not grant the capability ${type}: ${rawMessage}`;
  return capabilityFailed({ fault: "denied", type, message, code, reason: answer });
}

function closedError(type: string): ConnectError {
  const message = `the client of the capability ${type} is closed`;
  return capabilityFailed({ fault: "closed", type, message, code: Code.Canceled });
}
