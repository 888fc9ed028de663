import type { Interceptor } from "@connectrpc/connect";
import { deadlineExceeded } from "./deadline-error.ts";
import { deadlineKey } from "./deadline-key.ts";
import { type DeadlineOptions, type MethodLimits, resolveDeadlineOptions } from "./deadline-options.ts";
import { BoundedCall } from "./internal/bounded-call.ts";
import { createDeadlineTimers } from "./internal/deadline-timers.ts";
import { readTimeout, usesGrpc, writeTimeout } from "./internal/timeout-header.ts";

/**
 * A time limit for the calls of a client. A call without a time-out of its own gets `defaultMs`, one with a longer
 * time-out than `maxMs` gets that. The server is told, in the header of the protocol. When the time is over the call
 * fails with `deadline_exceeded`, wherever it is: a stream too, until its last message was read.
 *
 * A call whose own time-out is short enough is left to the transport, which keeps it already. Connect takes a time-out
 * of 0 or less for none, so such a call gets `defaultMs`.
 *
 * What stands further in has to fit into the time, and what stands further out does not count: outside of `retry`, the
 * limit is for all attempts together; inside of it, for each.
 * @throws {RangeError} or {TypeError} naming the option.
 * @example
 * const interceptors = [clientDeadline({ defaultMs: 2_000, maxMs: 30_000 }), retry()];
 */
export function clientDeadline(options: DeadlineOptions): Interceptor {
  const { limitsOf, clock } = resolveDeadlineOptions(options);
  const timers = createDeadlineTimers(clock);
  return (next) => (request) => {
    let limits: MethodLimits;
    try {
      limits = limitsOf(request.method);
    } catch (error) {
      return Promise.reject(error);
    }
    const { defaultMs, maxMs } = limits;
    const isGrpc = usesGrpc(request.header);
    const askedMs = readTimeout(request.header, isGrpc);
    if (askedMs !== undefined && askedMs <= 0) return Promise.reject(deadlineExceeded(askedMs));
    const limitMs = askedMs === undefined ? defaultMs : maxMs;
    if (limitMs === Infinity || (askedMs !== undefined && askedMs <= maxMs)) return next(request);
    const header = new Headers(request.header);
    writeTimeout(header, limitMs, isGrpc);
    const dueMs = clock.monotonic() + limitMs;
    const onExpire = () => deadlineExceeded(limitMs);
    const call = new BoundedCall(request.signal, { dueMs, timers, onExpire, abortAtEnd: false });
    return call.run(next, request, header);
  };
}

/**
 * A time limit for the calls that a server takes. A caller that sets no time-out gets `defaultMs`, one that asks for more
 * than `maxMs` gets that. The time counts from when the call comes by here, or if the caller's time-out is short enough,
 * as Connect counts it. When it is over, the signal of the handler aborts, and the caller gets `deadline_exceeded`, also
 * from a handler that does not look at its signal. What such a handler does goes on, and what it answers is dropped: only
 * its own code can stop it.
 *
 * A handler learns how much time it has from `timeLeftMs`. The options of Connect's router have a `maxTimeoutMs`, too:
 * that rejects callers who ask for more, and does not limit those who ask for nothing.
 * @throws {RangeError} or {TypeError} naming the option.
 * @example
 * const interceptors = [serverDeadline({ defaultMs: 10_000, maxMs: 60_000 })];
 */
export function serverDeadline(options: DeadlineOptions): Interceptor {
  const { limitsOf, clock } = resolveDeadlineOptions(options);
  const timers = createDeadlineTimers(clock);
  return (next) => (request) => {
    const { method, header, signal, contextValues } = request;
    let limits: MethodLimits;
    try {
      limits = limitsOf(method);
    } catch (error) {
      return Promise.reject(error);
    }
    const askedMs = readTimeout(header);
    const limitMs = Math.min(askedMs ?? limits.defaultMs, limits.maxMs);
    if (limitMs === Infinity) return next(request);
    const dueMs = clock.monotonic() + limitMs;
    const leftMs = () => dueMs - clock.monotonic();
    const outer = contextValues.get(deadlineKey);
    if (outer === undefined || outer.leftMs() > limitMs) contextValues.set(deadlineKey, { leftMs });
    const call = new BoundedCall(signal, {
      dueMs,
      timers: limitMs === askedMs ? undefined : timers,
      onExpire: () => deadlineExceeded(limitMs),
      abortAtEnd: true,
    });
    return call.run(next, request, header);
  };
}
