import { AsyncLocalStorage } from "node:async_hooks";
import { Code, ConnectError, type Interceptor, type StreamResponse } from "@connectrpc/connect";
import { type Clock, systemClock } from "./clock.ts";
import { deadlineExceeded } from "./deadline-error.ts";
import { deadlineKey } from "./deadline-key.ts";
import { BoundedCall } from "./internal/bounded-call.ts";
import { createDeadlineTimers } from "./internal/deadline-timers.ts";
import { readTimeout, writeTimeout } from "./internal/timeout-header.ts";

export interface PropagationOptions {
  /**
   * What outgoing calls get less than the incoming call has left, in ms: time for the handler to do something about a
   * call that failed. At least 0. Default 0: they end with the incoming call, and need no timer of their own.
   */
  readonly marginMs?: number | undefined;
  /** Default `systemClock`. */
  readonly clock?: Clock | undefined;
}

/** A pair of interceptors that lets outgoing calls end with the incoming call while which they are made. */
export interface CallPropagation {
  /** For the server. Inside of `serverDeadline`, so that its limits are passed on too. */
  readonly server: Interceptor;
  /**
   * For the clients that handlers use. Outside of `retry`, so that nothing outlives the incoming call; inside of
   * `clientDeadline`, whose default would not count for calls that come with the time of another.
   */
  readonly client: Interceptor;
  /**
   * Runs `work` outside of the incoming call: what it calls, starts and awaits is not cancelled with that and has none
   * of its time. For what is to go on after the answer, or serves many calls: a refresh, a connection, a watch.
   */
  detached<R>(work: () => R): R;
}

/**
 * Passes on the remaining time and the cancellation of an incoming call to the outgoing calls made while serving it,
 * through all functions, promises, timers and streams of the handler (`AsyncLocalStorage`).
 *
 * An outgoing call gets the time that the incoming one has left, or its own time-out if that is shorter, and tells it to
 * its server, 1 ms less than it is: so each hop has less than the one before. When the incoming call runs out of time,
 * its outgoing calls fail with `deadline_exceeded`; when it is cancelled, and also when it has been answered, with
 * `canceled`. A call made after that is not sent, nor one for which less than 1 ms is left. What is to outlive the
 * incoming call is called in `detached`.
 *
 * Calls that are made outside of an incoming call pass as they are. Both interceptors must be of the same pair.
 * @throws {RangeError} or {TypeError} naming the option.
 * @example
 * const propagation = createCallPropagation();
 * const transport = createGrpcTransport({ baseUrl, interceptors: [propagation.client, retry()] });
 * const handler = connectNodeAdapter({ routes, interceptors: [serverDeadline({ maxMs: 10_000 }), propagation.server] });
 */
export function createCallPropagation(options: PropagationOptions = {}): CallPropagation {
  const { marginMs = 0, clock = systemClock } = options;
  if (!(Number.isFinite(marginMs) && marginMs >= 0)) {
    throw new RangeError(`marginMs must be a finite number of at least 0, got ${marginMs}`);
  }
  if (typeof clock?.sleep !== "function") throw new TypeError(`clock must be a Clock, got ${String(clock)}`);
  const incomingCalls = new AsyncLocalStorage<IncomingCall | undefined>();
  const timers = createDeadlineTimers(clock);

  const server: Interceptor = (next) => (request) => {
    const leftMs = request.contextValues.get(deadlineKey)?.leftMs() ?? readTimeout(request.header) ?? Infinity;
    const incoming = createIncomingCall(request.signal, leftMs, clock.monotonic() + leftMs);
    const within: Within = (work) => incomingCalls.run(incoming, work);
    const call = within(() => next(request));
    if (!request.stream) return call;
    return call.then((response) =>
      response.stream ? { ...response, message: readWithin(response.message, within) } : response,
    );
  };

  const client: Interceptor = (next) => (request) => {
    const incoming = incomingCalls.getStore();
    if (incoming === undefined) return next(request);
    if (incoming.endedBy !== undefined) return Promise.reject(incoming.endedBy);
    const leftMs = incoming.dueMs - clock.monotonic() - marginMs;
    if (leftMs <= 1) return Promise.reject(deadlineExceeded(0, true));
    const toldMs = Math.ceil(leftMs - 1);
    const askedMs = readTimeout(request.header) ?? Infinity;
    let { header } = request;
    if (toldMs < askedMs) {
      header = new Headers(header);
      writeTimeout(header, toldMs);
    }
    const call = new BoundedCall(request.signal, {
      dueMs: incoming.dueMs - marginMs,
      timers: marginMs > 0 && leftMs < askedMs ? timers : undefined,
      onExpire: () => deadlineExceeded(leftMs, true),
      abortAtEnd: false,
      onEnd: incoming.leave,
    });
    incoming.enter(call);
    return call.run(next, request, header);
  };

  return { server, client, detached: (work) => incomingCalls.run(undefined, work) };
}

/** A call that a handler serves, and what it calls meanwhile. */
interface IncomingCall {
  /** By the clock's `monotonic()`. Infinity: no limit. */
  readonly dueMs: number;
  /** With what its outgoing calls end, once it has ended. */
  readonly endedBy: ConnectError | undefined;
  enter(outgoing: BoundedCall): void;
  leave(outgoing: BoundedCall): void;
}

function createIncomingCall(signal: AbortSignal, timeoutMs: number, dueMs: number): IncomingCall {
  const outgoing = new Set<BoundedCall>();
  let endedBy: ConnectError | undefined;
  let listening = false;
  const onAbort = () => {
    endedBy ??= errorOf(signal.reason, timeoutMs);
    for (const call of outgoing) call.cut(endedBy);
  };
  return {
    dueMs,
    get endedBy() {
      if (endedBy === undefined && signal.aborted) endedBy = errorOf(signal.reason, timeoutMs);
      return endedBy;
    },
    enter(call) {
      outgoing.add(call);
      if (listening) return;
      // One listener for all of them, and none for a call that makes none. Connect aborts the signal of every call.
      listening = true;
      signal.addEventListener("abort", onAbort, { once: true });
    },
    leave(call) {
      outgoing.delete(call);
    },
  };
}

/** What an incoming call that ended with `reason` means for the calls made meanwhile. */
function errorOf(reason: unknown, timeoutMs: number): ConnectError {
  const error = ConnectError.from(reason, Code.Canceled);
  if (error.code === Code.DeadlineExceeded) return deadlineExceeded(timeoutMs, true);
  return new ConnectError("the incoming call has ended", Code.Canceled, undefined, undefined, reason);
}

type Within = <R>(work: () => R) => R;

/** A generator goes on in the context of whoever reads it, so each read has to be in that of its call. */
function readWithin(messages: StreamResponse["message"], within: Within): StreamResponse["message"] {
  return {
    [Symbol.asyncIterator]() {
      const inner = within(() => messages[Symbol.asyncIterator]());
      return {
        next: () => within(() => inner.next()),
        async return(value?: unknown) {
          return within(() => inner.return?.(value)) ?? { done: true, value };
        },
        async throw(reason?: unknown) {
          const { throw: raise } = inner;
          if (raise === undefined) throw reason;
          return within(() => raise.call(inner, reason));
        },
      };
    },
  };
}
