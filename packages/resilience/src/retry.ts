import {
  Code,
  ConnectError,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import { AttemptTimeoutError } from "./attempt-timeout-error.ts";
import { backoffDelay } from "./backoff.ts";
import { isConnectionLost } from "./connection-lost.ts";
import { isIdempotent } from "./idempotency.ts";
import { createListeners } from "./internal/listeners.ts";
import type { Next } from "./internal/observe-call.ts";
import { readTimeout } from "./internal/timeout-header.ts";
import { runAttempt } from "./retry-attempt.ts";
import { readRetryDelay } from "./retry-delay.ts";
import { type RetryEvent, type RetryOptions, resolveRetryOptions } from "./retry-options.ts";
import { replayableMessages } from "./retry-source.ts";
import { stepAfterFailure } from "./retry-step.ts";
import { isUnprocessed } from "./unprocessed.ts";

type Response = UnaryResponse | StreamResponse;

/** One call, whatever number of attempts it takes. */
interface Call {
  readonly next: Next;
  readonly request: UnaryRequest | StreamRequest;
  /** When the first attempt began; where reading the clock would cost more than all else, when it failed. */
  readonly startedMs: number;
  /** The messages for an attempt; undefined for a unary call, and for a stream whose messages can be sent only once. */
  readonly messagesOf: ((attempt: number) => StreamRequest["message"]) | undefined;
}

/**
 * A retry interceptor for clients. Tries a call again that failed, if trying again is safe: its method is idempotent, by
 * `idempotency_level` in the .proto file, and the code is one of `codes`, where a lost connection counts as
 * `unavailable` whatever the transport makes of it; or it is proven that the call did not run (`isUnprocessed`); or
 * `retryIf` says so. The delay is the server's, if it names one (`readRetryDelay`), or else grows with each attempt. It
 * gives up when the attempts, the budget or the time do not allow for another, and if the delay would last beyond the
 * deadline it gives up at once.
 *
 * The response or the error is that of the last attempt, unchanged. If the caller aborts during a wait, the call fails
 * at once with the reason of its signal. Attempts after the first say so to the server, in `grpc-previous-rpc-attempts`.
 *
 * A stream is tried again only before its first message; what can be tried again is therefore handed to its reader,
 * headers too, when the first message is there. A request stream is tried again only with a `requestSourceKey`.
 * Interceptors inside of it see every attempt; they should change a copy of the headers, not add to those they are
 * given, which all attempts share.
 * Algorithm: gRFC A6, https://github.com/grpc/proposal/blob/master/A6-client-retries.md, where we differ: a stream is
 * committed by its first message instead of its headers, which Connect servers send before they know of an error; and
 * calls that did not run count as attempts.
 * @throws {RangeError} or {TypeError} naming the option.
 * @example
 * const interceptors = [retry({ maxAttempts: 4, perAttemptTimeoutMs: 500 })];
 * const transport = createConnectTransport({ baseUrl, httpVersion: "2", interceptors });
 */
export function retry(options: RetryOptions = {}): Interceptor {
  const config = resolveRetryOptions(options);
  const { maxAttempts, perAttemptTimeoutMs, overallTimeoutMs, codes, maxPushbackMs, budget, clock } = config;
  const listeners = createListeners<RetryEvent>();
  if (config.onRetry !== undefined) listeners.add(config.onRetry);
  const isTimed = perAttemptTimeoutMs < Infinity || overallTimeoutMs < Infinity;

  /** What the user says. */
  function askUser(error: ConnectError, request: UnaryRequest | StreamRequest): boolean | undefined {
    try {
      return config.retryIf?.(error, request);
    } catch {
      return undefined;
    }
  }

  /** The attempt of this number, which may begin now. */
  async function attempt(call: Call, number: number): Promise<Response> {
    const { next, messagesOf } = call;
    const elapsedMs = clock.monotonic() - call.startedMs;
    const leftMs = overallTimeoutMs - elapsedMs;
    const timeoutMs = Math.min(perAttemptTimeoutMs, leftMs);
    const limitMs = perAttemptTimeoutMs <= leftMs ? perAttemptTimeoutMs : overallTimeoutMs;
    const untilMessage =
      messagesOf !== undefined && (isIdempotent(call.request.method) || config.retryIf !== undefined);
    const request =
      messagesOf !== undefined && call.request.stream ? { ...call.request, message: messagesOf(number) } : call.request;
    const response = await runAttempt(next, request, {
      number,
      timeoutMs,
      limitMs,
      elapsedMs,
      untilMessage,
      clock,
    });
    if (!request.stream || untilMessage) budget?.succeeded(request);
    return response;
  }

  /** What to wait before another attempt, or undefined if there is none. */
  function delayAfter(call: Call, number: number, reason: unknown, backoffMs: number) {
    const { request, startedMs, messagesOf } = call;
    const error = ConnectError.from(reason);
    const aborted = request.signal.aborted;
    const said = aborted ? undefined : askUser(error, request);
    const unprocessed = isUnprocessed(reason);
    const code = isConnectionLost(reason) ? Code.Unavailable : error.code;
    const worthIt = said ?? (unprocessed || error.cause instanceof AttemptTimeoutError || codes.has(code));
    const safe = said === true || unprocessed || isIdempotent(request.method);
    const pushback = readRetryDelay(error, clock);
    const counts = !aborted && (worthIt || pushback.kind === "never");
    const timeoutMs = Math.min(overallTimeoutMs, readTimeout(request.header) ?? Infinity);
    const step = stepAfterFailure({
      attempt: number,
      maxAttempts,
      aborted,
      retryable: worthIt && safe && (!request.stream || messagesOf !== undefined),
      pushback,
      maxPushbackMs,
      budgetLeft: !counts || budget === undefined || budget.failed(request),
      backoffMs,
      remainingMs: startedMs + timeoutMs - clock.monotonic(),
    });
    if (step.kind === "give-up") return undefined;
    return { error, delayMs: step.delayMs, isPushback: pushback.kind === "after" };
  }

  /** The first attempt has failed. */
  async function tryAgain(call: Call, firstReason: unknown): Promise<Response> {
    const { backoff, random } = config;
    const { signal, method, url } = call.request;
    let reason = firstReason;
    let step = 0;
    let previousMs = backoff.initialMs;
    for (let number = 1; ; number++) {
      const backoffMs = backoffDelay(backoff, { attempt: step, previousMs, random: random() });
      const delay = delayAfter(call, number, reason, backoffMs);
      if (delay === undefined) throw reason;
      const { error, delayMs } = delay;
      listeners.tell({ attempt: number, error, delayMs, method, url });
      // As gRFC A6 has it, the delays begin anew after one that the server chose.
      step = delay.isPushback ? 0 : step + 1;
      previousMs = delay.isPushback ? backoff.initialMs : backoffMs;
      try {
        await clock.sleep(delayMs, signal);
      } catch (failed) {
        throw signal.aborted ? ConnectError.from(signal.reason, Code.Canceled) : failed;
      }
      // A timer may be late.
      if (clock.monotonic() - call.startedMs >= overallTimeoutMs) throw reason;
      try {
        return await attempt(call, number + 1);
      } catch (next) {
        reason = next;
      }
    }
  }

  return (next) => (request) => {
    if (request.stream || isTimed) {
      const messagesOf = request.stream ? replayableMessages(request) : undefined;
      const call = { next, request, startedMs: clock.monotonic(), messagesOf };
      return attempt(call, 1).catch((reason: unknown) => tryAgain(call, reason));
    }
    // Every call of a healthy client comes here, so no async function, and nothing made that only a failure needs.
    let first: Promise<Response>;
    try {
      first = next(request);
    } catch (reason) {
      first = Promise.reject(reason);
    }
    return first.then(
      (response) => {
        budget?.succeeded(request);
        return response;
      },
      (reason: unknown) => tryAgain({ next, request, startedMs: clock.monotonic(), messagesOf: undefined }, reason),
    );
  };
}
