import { Code, ConnectError } from "@connectrpc/connect";
import { createBackoff } from "@cpg/resilience";
import type { AssignedIdentity } from "../control/plugin-identity-service.ts";
import { createAlarm } from "../internal/alarm.ts";
import { within } from "../internal/bounded.ts";
import { callListener } from "../internal/call-listener.ts";
import { parseEndpoint } from "../wire/endpoint.ts";
import { createAuthenticatedTransport } from "./authenticated-transport.ts";
import { failureEvent } from "./failure-event.ts";
import { createGrantedTransport } from "./granted-transport.ts";
import { createHeldSessions } from "./held-sessions.ts";
import { createHostChoice } from "./host-choice.ts";
import { createHostConnections, type HostAddress } from "./host-connections.ts";
import { createHostDoubts } from "./host-doubts.ts";
import {
  checkTimeoutMs,
  type HostLink,
  type HostLinkEvent,
  type HostLinkOptions,
  type LinkIdentity,
  resolveLinkOptions,
} from "./host-link-options.ts";
import type { HostSession } from "./host-session.ts";
import { createIdentityAnnouncer } from "./identity-announcer.ts";
import { keepAlive } from "./keep-alive.ts";
import { linkDown } from "./link-error.ts";
import {
  callSession,
  knownSession,
  type LinkEvent,
  type LinkState,
  linkedSession,
  ownSession,
  transition,
} from "./link-state.ts";
import { openHostSession } from "./open-host-session.ts";
import { registrationMetadata } from "./registration-metadata.ts";
import { createRoutedTransport } from "./routed-transport.ts";

export type {
  CloseLinkOptions,
  HostLink,
  HostLinkEvent,
  HostLinkOptions,
  LinkIdentity,
  WaitOptions,
} from "./host-link-options.ts";

type State = LinkState<HostSession, AssignedIdentity>;
type Event = LinkEvent<HostSession, AssignedIdentity>;

/** Bound on `withdraw`. */
const withdrawMs = 10_000;

/**
 * A plugin's link to its host, for plugins that register themselves and for those that a host manages.
 *
 * Once started it gets an identity, registers what the plugins provide, reports their health, and keeps that alive:
 * an absent host is tried again with backoff, for ever; a host that has forgotten the identity, because it was restarted
 * or the identity expired, is asked for a new one by handshake. Of several hosts it is linked to one; when that is lost,
 * and does not answer the next sign of life either, it shakes hands with the next that answers. A managed plugin does that, too, once it has lost the
 * identity it was given (its host admits it or not); a new identity given to it takes its place at any time.
 *
 * The states are those of `transition` in link-state.ts.
 * @throws {TypeError} {RangeError} for bad options, naming the option.
 */
export function createHostLink(options: HostLinkOptions): HostLink {
  const resolved = resolveLinkOptions(options);
  const { health, clock, random, backoff: delays } = resolved;
  const backoff = createBackoff(delays, random);
  const alarm = createAlarm(clock);
  const doubts = createHostDoubts(alarm);
  const connections = createHostConnections(resolved.connect, ({ hostUrl, httpVersion }) => {
    const used = linkedSession(state)?.address;
    if (used?.hostUrl === hostUrl && used.httpVersion === httpVersion) doubts.lost();
  });
  const waiters = new Set<() => void>();
  const sessions = createHeldSessions();

  let state: State = { kind: "idle" };
  let activity = new AbortController();
  let lastError: ConnectError | undefined;
  const managed = options.hostUrl === undefined;
  const hosts = createHostChoice(resolved);

  const ignore = () => {}; // whoever observes must not break what is observed
  const emit = (event: HostLinkEvent): void => callListener(() => resolved.onEvent(event), ignore);
  const identities = createIdentityAnnouncer((error) => emit({ type: "listener-failed", error }));
  const refusedDelayMs = (): number => delays.maxMs * (1 - random() / 2);

  const openAt = async (hostUrl: string, signal: AbortSignal, given?: AssignedIdentity): Promise<HostSession> => {
    const session = await openHostSession({ ...resolved, connections, onEvent: emit }, hostUrl, given, signal);
    await sessions.add(session, ownSession(state), signal);
    return session;
  };
  const open = (given: AssignedIdentity | undefined, signal: AbortSignal): Promise<HostSession> =>
    given ? openAt(given.hostUrl, signal, given) : hosts.open((hostUrl) => openAt(hostUrl, signal), signal);
  const announce = async (session: HostSession, signal: AbortSignal): Promise<void> => {
    await session.register(signal);
    await session.reportHealth(health.report(), signal);
  };
  const leaveOthers = async (own: HostSession, signal: AbortSignal): Promise<void> => {
    await sessions.leaveOthers(own, signal);
    if (!signal.aborted) connections.keep(addressesInUse());
  };

  /** What the link does in a state; resolves with the event that ends it. */
  const perform = async (now: State, signal: AbortSignal): Promise<Event | undefined> => {
    switch (now.kind) {
      case "connecting":
        return { type: "connected", session: await open(now.given, signal) };
      case "registering":
        await announce(now.session, signal);
        return { type: "registered" };
      case "linked":
        void leaveOthers(now.session, signal);
        await keepAlive(now.session, keepAliveOptions, signal);
        return { type: "expiring" };
      case "refreshing":
        try {
          const session = await openAt(now.session.address.hostUrl, signal);
          await announce(session, signal);
          return { type: "refreshed", session };
        } catch (reason) {
          signal.throwIfAborted();
          now.session.postponeRefresh(refusedDelayMs());
          emit({ type: "refresh-failed", error: ConnectError.from(reason) });
          return { type: "refresh-failed" };
        }
      case "resuming":
        await now.session.beat(health.report(), false, signal);
        return { type: "resumed" };
      case "backoff":
        await clock.sleep(now.refused ? refusedDelayMs() : backoff.next(), signal);
        return { type: "retry" };
      default:
        return undefined;
    }
  };
  const keepAliveOptions = {
    ...resolved,
    alarm,
    refusedDelayMs,
    doubts,
    onBeat: () => backoff.reset(),
  };

  const queue: { readonly event: Event; readonly error: ConnectError | undefined }[] = [];
  let dispatching = false;
  /** Events that listeners cause wait until all have heard of the one before. */
  const dispatch = (event: Event, error?: ConnectError): void => {
    queue.push({ event, error });
    if (dispatching) return;
    dispatching = true;
    try {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) step(next.event, next.error);
    } finally {
      dispatching = false;
    }
  };

  const step = (event: Event, error: ConnectError | undefined): void => {
    const before = linkedSession(state);
    const next = transition(state, event);
    if (next === state) return;
    activity.abort();
    activity = new AbortController();
    state = next;
    if (event.type === "identity-given") backoff.reset();
    if (linkedSession(state) !== before) doubts.clear();
    lastError = linkedSession(state) === undefined ? (error ?? lastError) : undefined;
    connections.keep(addressesInUse());
    begin(next, activity.signal);
    for (const wake of [...waiters]) wake();
    emit({ type: "state", state: next.kind, error });
    identities.tell(identityNow());
  };

  const begin = (now: State, signal: AbortSignal): void => {
    perform(now, signal).then(
      (event) => {
        if (event !== undefined && !signal.aborted) dispatch(event);
      },
      (reason) => {
        if (signal.aborted) return;
        const error = ConnectError.from(reason);
        const event = failureEvent(now, error, { managed, several: hosts.several });
        const lost = event.type === "lost" ? ownSession(now) : undefined;
        if (lost !== undefined) hosts.failed(lost.address.hostUrl);
        dispatch(event, error);
      },
    );
  };

  const addressesInUse = (): HostAddress[] => {
    const used = sessions.addresses();
    const own = ownSession(state);
    if (own !== undefined) used.push(own.address);
    if (state.kind === "connecting" && hosts.url !== undefined) used.push({ hostUrl: hosts.url, httpVersion: "1.1" });
    return used;
  };

  const identityNow = (): LinkIdentity | undefined => {
    const session = knownSession(state);
    return session && { runtimeId: session.runtimeId, hostUrl: session.address.hostUrl };
  };
  const sessionInUse = (): HostSession => {
    const session = callSession(state);
    if (session === undefined) throw linkDown(state.kind, lastError);
    return session;
  };
  const transport = createAuthenticatedTransport(sessionInUse, (session, trouble) => {
    if (session !== linkedSession(state)) return;
    if (trouble === "lost") doubts.lost();
    else doubts.refused();
  });
  const stopHearing = health.onChange(() => alarm.ring());

  /** Runs `work` within `ms`; whatever comes of it. */
  const bounded = async (
    ms: number,
    work: (signal: AbortSignal) => Promise<unknown>,
    signal?: AbortSignal,
  ): Promise<void> => {
    try {
      await within(clock, ms, work, () => linkDown(state.kind, undefined, Code.DeadlineExceeded), signal);
    } catch {
      // The host will notice by itself.
    }
  };

  let withdrawing: Promise<void> | undefined;
  let closing: Promise<void> | undefined;
  const hurry = new AbortController();
  const close = async (timeoutMs: number): Promise<void> => {
    stopHearing();
    dispatch({ type: "close" });
    await bounded(timeoutMs, (signal) => sessions.leave(signal), hurry.signal);
    await connections.close();
    dispatch({ type: "closed" });
    identities.forget();
  };

  const link: HostLink = {
    transport,
    transportTo: (prefix) => createRoutedTransport(transport, prefix),
    transportWith: (grant) => createGrantedTransport(sessionInUse, grant),
    get hostMetadata() {
      return (callSession(state) ?? knownSession(state))?.hostMetadata ?? {};
    },
    get registrationMetadata() {
      return registrationMetadata(resolved);
    },
    get state() {
      return state.kind;
    },
    get identity() {
      return identityNow();
    },
    get hostUrl() {
      return hosts.url;
    },
    start() {
      if (!managed) dispatch({ type: "start" });
    },
    setIdentity(given) {
      parseEndpoint(given.hostUrl);
      if (state.kind === "closing" || state.kind === "closed") return false;
      hosts.take(given.hostUrl);
      dispatch({ type: "identity-given", given });
      return true;
    },
    onIdentityChange: identities.onChange,
    async whenLinked({ timeoutMs = 10_000, signal } = {}) {
      checkTimeoutMs(timeoutMs);
      const wait = (waiting: AbortSignal) =>
        new Promise<LinkIdentity>((resolve, reject) => {
          const look = () => {
            const session = linkedSession(state);
            if (session !== undefined) resolve({ runtimeId: session.runtimeId, hostUrl: session.address.hostUrl });
            else if (state.kind === "closing" || state.kind === "closed") reject(linkDown(state.kind, lastError));
            else return;
            waiters.delete(look);
          };
          waiters.add(look);
          waiting.addEventListener("abort", () => waiters.delete(look), { once: true });
          look();
        });
      return await within(clock, timeoutMs, wait, () => linkDown(state.kind, lastError, Code.DeadlineExceeded), signal);
    },
    withdraw() {
      withdrawing ??= bounded(withdrawMs, (signal) => sessions.withdraw(signal));
      return withdrawing;
    },
    async close({ timeoutMs = 5_000, signal } = {}) {
      checkTimeoutMs(timeoutMs);
      const cut = () => hurry.abort();
      if (signal?.aborted) cut();
      else signal?.addEventListener("abort", cut, { once: true });
      closing ??= close(timeoutMs);
      await closing.finally(() => signal?.removeEventListener("abort", cut));
    },
    [Symbol.asyncDispose]: () => link.close(),
  };
  return link;
}
