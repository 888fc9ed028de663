import {
  Code,
  ConnectError,
  type StreamRequest,
  type StreamResponse,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import { attemptTimedOut } from "./attempt-timeout-error.ts";
import type { Clock } from "./clock.ts";
import type { Next } from "./internal/observe-call.ts";
import { timedSignal, unlessAborted } from "./internal/timed-signal.ts";
import { readTimeout, writeTimeout } from "./internal/timeout-header.ts";
import { awaitAnswer, withEnd } from "./retry-answer.ts";

/** Tells the server how many attempts there were before this one, as in gRFC A6. */
const previousAttempts = "grpc-previous-rpc-attempts";

export interface Attempt {
  /** 1 for the first. */
  readonly number: number;
  /** How long it may take to answer, in ms. Infinity: no limit. */
  readonly timeoutMs: number;
  /** The limit that `timeoutMs` is, or is the rest of. */
  readonly limitMs: number;
  /** Ms since the call began. */
  readonly elapsedMs: number;
  /** Whether a stream has answered with its first message only, instead of its headers. */
  readonly untilMessage: boolean;
  readonly clock: Clock;
}

/** One attempt, up to its answer. Whatever time it has left then does not end the stream that follows. */
export async function runAttempt(
  next: Next,
  request: UnaryRequest | StreamRequest,
  attempt: Attempt,
): Promise<UnaryResponse | StreamResponse> {
  const { timeoutMs, limitMs, clock, untilMessage } = attempt;
  const sent = attemptRequest(request, attempt);
  if (timeoutMs === Infinity) {
    const response = await next(sent);
    return untilMessage ? await awaitAnswer(response) : response;
  }
  const timed = timedSignal(request.signal, timeoutMs, clock, () => attemptTimedOut(limitMs));
  try {
    const call = next({ ...sent, signal: timed.signal });
    const response = await unlessAborted(untilMessage ? call.then(awaitAnswer) : call, timed.signal);
    if (!response.stream) {
      timed.close();
      return response;
    }
    timed.stopTimer();
    return { ...response, message: withEnd(response.message, timed.close) };
  } catch (reason) {
    const { aborted, reason: why } = timed.signal;
    timed.close();
    // Whatever became of it in the transport: the attempt was cut short, and this is why.
    throw aborted ? ConnectError.from(why, Code.Canceled) : reason;
  }
}

/** Not the caller's request, which later attempts need as it is. */
function attemptRequest<R extends UnaryRequest | StreamRequest>(request: R, attempt: Attempt): R {
  const { number, timeoutMs, elapsedMs } = attempt;
  if (number === 1 && timeoutMs === Infinity) return request;
  const header = new Headers(request.header);
  if (number > 1) header.set(previousAttempts, `${number - 1}`);
  const callMs = readTimeout(header) ?? Infinity;
  const leftMs = Math.min(timeoutMs, callMs - elapsedMs);
  if (leftMs < Infinity) writeTimeout(header, leftMs);
  return { ...request, header };
}
