import {
  Code,
  ConnectError,
  type StreamRequest,
  type StreamResponse,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import { isConnectionLost } from "./connection-lost.ts";
import type { HedgingConfig } from "./hedging-options.ts";
import { afterHedgeEvent, firstAttempt, type HedgeEvent } from "./hedging-state.ts";
import { attemptHeader } from "./internal/attempt-header.ts";
import type { Next } from "./internal/observe-call.ts";
import { awaitAnswer, withEnd } from "./retry-answer.ts";
import { readRetryDelay } from "./retry-delay.ts";
import { replayableMessages } from "./retry-source.ts";

const overtaken = new ConnectError("another attempt of the call has settled it", Code.Canceled);
const over = new Error("the call is over");

/** What is around one call. */
export interface HedgedCallHost {
  readonly config: HedgingConfig;
  /** How long to wait before each hedge. Infinity: there is none. */
  readonly delayMs: number;
  /** Asks the budget for a hedge. */
  takeHedge(): boolean;
  /** A hedge begins. */
  onHedge(attempt: number, elapsedMs: number): void;
  /** How long the first attempt took, or at least took, until it was overtaken or given up. */
  onLatency(ms: number): void;
}

/** Runs one call, with as many attempts as it needs. */
export function runHedgedCall(
  next: Next,
  request: UnaryRequest | StreamRequest,
  host: HedgedCallHost,
): Promise<UnaryResponse | StreamResponse> {
  const { signal } = request;
  if (signal.aborted) return Promise.reject(ConnectError.from(signal.reason, Code.Canceled));
  const { maxAttempts, nonFatalCodes, clock } = host.config;

  return new Promise((resolve, reject) => {
    const startedMs = clock.monotonic();
    const messagesOf = request.stream ? replayableMessages(request) : undefined;
    const attempts = new Set<AbortController>();
    let state = firstAttempt(maxAttempts);
    let dueMs = Infinity;
    let timer: AbortController | undefined;
    /** Not if it failed: then it does not tell how long an answer takes. */
    let isFirstTimed = true;
    let wasDue = false;

    function dispatch(event: HedgeEvent): boolean {
      const { state: after, effect } = afterHedgeEvent(state, event, maxAttempts);
      state = after;
      switch (effect.kind) {
        case "start":
          start();
          break;
        case "stop":
          arm(Infinity);
          break;
        case "postpone":
          arm(Math.max(effect.ms, dueMs - clock.monotonic()));
          break;
        case "settle":
          arm(Infinity);
          return true;
        case "none":
      }
      return false;
    }

    /** The next hedge is due after `ms`, whatever was planned before. */
    function arm(ms: number): void {
      timer?.abort(over);
      timer = undefined;
      if (ms === Infinity) return;
      dueMs = clock.monotonic() + ms;
      const mine = new AbortController();
      timer = mine;
      clock.sleep(ms, mine.signal).then(
        () => {
          if (timer !== mine) return;
          wasDue = true;
          dispatch({ kind: "due", granted: host.takeHedge() });
        },
        () => {}, // disarmed
      );
    }

    function start(): void {
      const attempt = new AbortController();
      attempts.add(attempt);
      const number = state.kind === "open" ? state.started : 1;
      const elapsedMs = number === 1 ? 0 : clock.monotonic() - startedMs;
      if (number > 1) host.onHedge(number, elapsedMs);
      // After the listener, which may take its time, or abort the call.
      if (state.kind !== "open") return;
      let call: Promise<UnaryResponse | StreamResponse>;
      try {
        call = next(attemptRequest(request, number, elapsedMs, attempt.signal, messagesOf));
      } catch (reason) {
        call = Promise.reject(reason);
      }
      (request.stream ? call.then(awaitAnswer) : call).then(
        (response) => onAnswer(response, attempt),
        (reason) => onFailure(reason, attempt, number),
      );
      if (state.mayHedge) arm(host.delayMs);
    }

    function onAnswer(response: UnaryResponse | StreamResponse, attempt: AbortController): void {
      if (!dispatch({ kind: "answered" })) {
        drop(response);
        return;
      }
      settled();
      attempts.delete(attempt);
      cancelAll(overtaken);
      if (!response.stream) {
        close(attempt);
        resolve(response);
        return;
      }
      // The stream goes on, and ends with the call.
      attempts.add(attempt);
      resolve({ ...response, message: withEnd(response.message, () => close(attempt)) });
    }

    function onFailure(reason: unknown, attempt: AbortController, number: number): void {
      attempts.delete(attempt);
      if (state.kind === "settled") return;
      const error = ConnectError.from(reason);
      const fatal = !nonFatalCodes.has(error.code) && !isConnectionLost(reason);
      if (number === 1 && !fatal) isFirstTimed = false;
      if (!dispatch({ kind: "failed", fatal, pushback: readRetryDelay(error, clock) })) return;
      settled();
      signal.removeEventListener("abort", onAbort);
      cancelAll(overtaken);
      reject(reason);
    }

    function onAbort(): void {
      if (dispatch({ kind: "aborted" })) {
        // Sooner than that, it tells less than is known.
        if (wasDue) settled();
        reject(ConnectError.from(signal.reason, Code.Canceled));
      }
      cancelAll(signal.reason);
    }

    function settled(): void {
      if (isFirstTimed) host.onLatency(clock.monotonic() - startedMs);
    }

    function cancelAll(reason: unknown): void {
      for (const attempt of attempts) attempt.abort(reason);
      attempts.clear();
    }

    /** The attempt that was left has come to its end. */
    function close(attempt: AbortController): void {
      signal.removeEventListener("abort", onAbort);
      attempts.delete(attempt);
      attempt.abort(over);
    }

    signal.addEventListener("abort", onAbort, { once: true });
    start();
  });
}

/** Not the caller's request, which later attempts need as it is. */
function attemptRequest(
  request: UnaryRequest | StreamRequest,
  number: number,
  elapsedMs: number,
  signal: AbortSignal,
  messagesOf: ((attempt: number) => StreamRequest["message"]) | undefined,
): UnaryRequest | StreamRequest {
  const header = number === 1 ? request.header : attemptHeader(request.header, number, elapsedMs);
  if (!request.stream) return { ...request, header, signal };
  return { ...request, header, signal, message: messagesOf?.(number) ?? request.message };
}

/** Nobody wants the response any more. */
function drop(response: UnaryResponse | StreamResponse): void {
  if (!response.stream) return;
  const iterator = response.message[Symbol.asyncIterator]();
  iterator.return?.().then(undefined, () => {});
}
