import { Code, ConnectError } from "@connectrpc/connect";
import type { RuntimeIdentity } from "@cpg/core";
import { callListener } from "@cpg/core/extension";
import { codeName, codeOfAnswer, resultOf, resultOfDirect } from "./call-outcome.ts";
import type { Callers } from "./callers.ts";
import type { DirectCall, NodeExchange } from "./direct/direct-plugin.ts";
import type { DirectPlugins } from "./direct/direct-plugins.ts";
import type { Exchange } from "./exchange/exchange.ts";
import { findProvider, type ProviderSources, type RouteTo } from "./find-provider.ts";
import type { ForwardEnd, UnsentCause } from "./forward/forwarder.ts";
import { hostHeaders, takeHeaders } from "./passed-headers.ts";
import type { ProviderCalls } from "./provider-calls.ts";
import { httpStatusOf, type RouteFault, type RouteTarget, routeError } from "./route-error.ts";
import type { RoutedCallRecord } from "./routed-call-record.ts";
import type { RouterOptions } from "./router-options.ts";
import { parseServicePath, type ServicePath } from "./service-path.ts";
import type { DirectUpstream } from "./upstream.ts";

export interface CallRoutingOptions extends Omit<RouterOptions, "store" | "limits" | "onError"> {
  readonly store: ProviderSources["store"];
  readonly callers: Callers;
  readonly directs: DirectPlugins;
  readonly providerCalls: ProviderCalls;
  /** As `onError`; throws nothing. */
  report(error: unknown): void;
}

/** A call whose caller is known. */
interface AdmittedCall {
  readonly exchange: Exchange;
  /** Request and response of Node, for plugins without a socket. */
  readonly nodeExchange: () => NodeExchange;
  readonly identity: RuntimeIdentity;
  readonly path: ServicePath;
  /** Headers of the caller that its provider may see. */
  readonly passed: readonly string[];
  readonly notes: CallNotes;
}

/** What becomes the record of a call. */
type CallNotes = { -readonly [Key in keyof RoutedCallRecord]: RoutedCallRecord[Key] } & {
  /** Ends the call before its time. */
  cut(error: ConnectError): void;
};

/** @throws {ConnectError} `unavailable` for a plugin that is gone. */
function open(call: () => DirectCall, target: RouteTarget): DirectCall {
  try {
    return call();
  } catch (reason) {
    throw routeError("unreachable", target, reason);
  }
}

/** How long the caller of a call that was cut may take to read that, in ms. */
const cutMs = 5_000;

/** A call is sent at most twice. */
const maxAttempts = 2;

/** Takes one call from its arrival to its record; throws nothing. */
export function createCallRouting(options: CallRoutingOptions): (exchange: Exchange, node: () => NodeExchange) => void {
  const { host, store, selector, health, forwarder, callers, directs, providerCalls, report } = options;
  const { controlTokenOf = () => undefined, onCall } = options;
  const { identities, clock, draining } = host;

  /** Ends a call before its time, once. */
  const cutCall = (exchange: Exchange, notes: CallNotes, error: ConnectError): void => {
    if (notes.error !== undefined) return;
    notes.error = error;
    notes.code = codeName(error.code);
    notes.cut(error);
    const closed = new AbortController();
    exchange.onClosed(() => closed.abort("it has ended"));
    clock.sleep(cutMs, closed.signal).then(
      () => exchange.destroy(), // whoever does not read his answer
      () => {},
    );
  };

  const fail = (exchange: Exchange, notes: CallNotes, reason: unknown): void => {
    const error = reason instanceof ConnectError ? reason : new ConnectError("internal error", Code.Internal);
    if (error !== reason) report(reason);
    notes.error = error;
    notes.code = codeName(error.code);
    exchange.fail(error, httpStatusOf(error));
  };

  const headersTo = ({ exchange, identity, passed }: AdmittedCall, { registration }: RouteTo): string[] => {
    const { httpVersion } = exchange;
    const controlToken = controlTokenOf(registration);
    return [...passed, ...hostHeaders({ callerId: identity.runtimeId, controlToken, httpVersion })];
  };

  const callDirect = async (call: AdmittedCall, to: RouteTo, upstream: DirectUpstream): Promise<void> => {
    const { notes, nodeExchange } = call;
    const request = { ...nodeExchange(), path: to.upstreamPath, headers: headersTo(call, to) };
    const { bytes, ended, cut } = open(() => directs.call(upstream, request), to.registration);
    notes.cut = cut;
    const { answered, status, contentType, error } = await ended;
    notes.requestBytes = bytes.request;
    notes.responseBytes = bytes.response;
    if (notes.error !== undefined) return; // cut
    notes.status = answered ? status : undefined;
    const code = error === undefined ? undefined : codeName(error.code);
    notes.code = code ?? (answered ? codeOfAnswer({ status, contentType, grpcStatus: undefined }) : "canceled");
    if (answered) health.callEnded(to.registration.providerId, resultOfDirect(error));
  };

  const settle = ({ exchange, notes }: AdmittedCall, { registration }: RouteTo, end: ForwardEnd): void => {
    if (end.kind === "answered" || end.kind === "aborted") notes.status = end.status;
    if (notes.error !== undefined) return; // cut
    switch (end.kind) {
      case "answered":
        if (end.cut !== undefined) notes.error = routeError("lost", registration);
        notes.code = notes.error === undefined ? codeOfAnswer(end) : codeName(notes.error.code);
        break;
      case "unsent":
        fail(exchange, notes, routeError(unsentFault(end.cause), registration, end.error));
        break;
      case "lost":
        fail(exchange, notes, routeError("lost", registration, end.error));
        break;
      case "aborted":
        notes.code = codeName(Code.Canceled);
        break;
    }
  };

  /** Where a call that reached nobody may go instead. */
  const nextFor = ({ identity, path, notes }: AdmittedCall, to: RouteTo, end: ForwardEnd): RouteTo | undefined => {
    if (end.kind !== "unsent" || !end.replayable || notes.attempts === maxAttempts) return undefined;
    if (notes.error !== undefined || end.cause === "request") return undefined;
    const { providerId } = to.registration;
    const isGoing = store.provider(providerId)?.draining !== false;
    // It is there, and takes calls: it only was about to close the connection.
    const same = end.cause === "unprocessed" && !isGoing ? to : undefined;
    // One that was named has another in its place, or nobody has.
    if (path.providerId !== undefined && !isGoing) return same;
    try {
      const except = path.providerId === undefined ? new Set([providerId]) : undefined;
      const other = findProvider(options, identity, path, except);
      // What was read of the body is not there any more for request objects.
      return other.upstream.kind === "direct" ? same : other;
    } catch {
      return same;
    }
  };

  const carry = async (call: AdmittedCall): Promise<void> => {
    const { exchange, notes } = call;
    let to: RouteTo | undefined = findProvider(options, call.identity, call.path);
    while (to !== undefined) {
      const { upstream, registration }: RouteTo = to;
      const { providerId } = registration;
      notes.provider = providerId;
      notes.method = to.method;
      notes.attempts++;
      const endFlight = selector.begin(providerId);
      const endCall = providerCalls.begin(providerId, (error) => cutCall(exchange, notes, error));
      try {
        if (upstream.kind === "direct") return await callDirect(call, to, upstream);
        const request = { upstream, method: exchange.method, path: to.upstreamPath, headers: headersTo(call, to) };
        const end: ForwardEnd = await forwarder.forward(exchange, request);
        const result = resultOf(end);
        if (result !== undefined && notes.error === undefined) health.callEnded(providerId, result);
        const next = nextFor(call, to, end);
        if (next === undefined) settle(call, to, end);
        to = next;
      } finally {
        endFlight();
        endCall();
      }
    }
  };

  const run = async (call: AdmittedCall, finish: () => void): Promise<void> => {
    try {
      await carry(call);
    } catch (reason) {
      if (call.notes.error === undefined) fail(call.exchange, call.notes, reason);
      else report(reason); // cut already
    } finally {
      finish();
    }
  };

  const tell = (notes: CallNotes): void => {
    if (onCall === undefined) return;
    const { cut, ...record } = notes;
    callListener(() => onCall(record), report);
  };

  return (exchange, nodeExchange) => {
    const startedMs = clock.monotonic();
    const notes: CallNotes = {
      caller: undefined,
      type: undefined,
      provider: undefined,
      method: undefined,
      httpMethod: exchange.method,
      code: undefined,
      status: undefined,
      requestBytes: 0,
      responseBytes: 0,
      durationMs: 0,
      attempts: 0,
      error: undefined,
      cut: (error) => exchange.fail(error),
    };
    let endCall = (): void => {};
    const finish = (): void => {
      endCall();
      notes.requestBytes = Math.max(notes.requestBytes, exchange.requestBytes);
      notes.responseBytes = Math.max(notes.responseBytes, exchange.responseBytes);
      notes.durationMs = clock.monotonic() - startedMs;
      tell(notes);
    };
    try {
      const { credentials, passed } = takeHeaders(exchange.headers);
      const identity = identities.authenticate(credentials);
      notes.caller = identity.runtimeId;
      const path = parseServicePath(exchange.target);
      notes.type = path.type;
      if (draining.aborted) throw routeError("host-draining", path);
      endCall = callers.begin(identity, (error) => cutCall(exchange, notes, error));
      void run({ exchange, nodeExchange, identity, path, passed, notes }, finish);
    } catch (reason) {
      fail(exchange, notes, reason);
      finish();
    }
  };
}

function unsentFault(cause: UnsentCause): RouteFault {
  if (cause === "busy" || cause === "request") return cause;
  return cause === "closed" ? "draining" : "unreachable";
}
