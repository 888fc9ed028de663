import {
  Code,
  ConnectError,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import { type Clock, systemClock } from "./clock.ts";
import { attemptHeader } from "./internal/attempt-header.ts";
import type { Next } from "./internal/observe-call.ts";
import { unlessAborted } from "./internal/timed-signal.ts";
import { policyError } from "./policy-interceptor-error.ts";
import { type RunSignal, runSignal } from "./policy-interceptor-signal.ts";
import { messagesForRuns } from "./policy-interceptor-source.ts";
import { awaitAnswer, withEnd } from "./retry-answer.ts";

type Response = UnaryResponse | StreamResponse;

/** Something that runs a call, perhaps several times or not at all: the shape of the policies of cockatiel. */
export interface CallPolicy {
  execute(run: (context: PolicyContext) => Promise<Response>, signal?: AbortSignal): PromiseLike<unknown>;
}

/** What a policy tells a run. */
export interface PolicyContext {
  /** Ends this run. */
  readonly signal?: AbortSignal | undefined;
}

export interface PolicyInterceptorOptions {
  /** Tells how much of the time-out of a call is left when it is run again. Default `systemClock`. */
  readonly clock?: Clock | undefined;
}

/**
 * An interceptor that makes every call inside a policy that you have, of cockatiel or of the same shape, for clients and
 * servers. The policy gets the signal of the call; the call ends with it and with the policy's own; when it aborts, the
 * call fails at once, even while the policy sleeps. Runs after the first tell the server their number, in
 * `grpc-previous-rpc-attempts`. Errors of policies become ConnectErrors (`policyError`). What the policy returns instead
 * of an error must be a response; a fallback that makes one is fine.
 *
 * Of a stream the policy sees the time until its first message, or end; of a bidirectional one, whose messages may wait
 * for each other, until its headers. After that the stream is on its own: a time limit does not end it, a bulkhead does
 * not count it, and its errors are not retried. A stream that the policy does not return is cancelled. A run again of a
 * request stream that was read, or closed, is refused, with the error before it as the cause; with a `requestSourceKey`
 * it is not.
 *
 * The policy alone decides what is run again. One that retries every error, such as `retry(handleAll)`, repeats calls that
 * are not idempotent too, asks for what the server has refused, and multiplies an outage: `retry` does not.
 * @throws {TypeError} naming what is wrong.
 * @example
 * const policy = wrap(retry(handleWhen(isUnprocessed), { maxAttempts: 2 }), circuitBreaker(handleAll, options));
 * const transport = createConnectTransport({ baseUrl, httpVersion: "2", interceptors: [policyInterceptor(policy)] });
 */
export function policyInterceptor(policy: CallPolicy, options: PolicyInterceptorOptions = {}): Interceptor {
  if (typeof policy?.execute !== "function") throw new TypeError("policy must have a function execute");
  const { clock = systemClock } = options;
  return (next) => (request) => executeCall(policy, next, request, clock);
}

async function executeCall(
  policy: CallPolicy,
  next: Next,
  request: UnaryRequest | StreamRequest,
  clock: Clock,
): Promise<Response> {
  const { signal } = request;
  const runs = createRuns(next, request, clock);
  let kept: Response | undefined;
  try {
    if (signal.aborted) throw signal.reason;
    const result = await unlessAborted(Promise.resolve(policy.execute(runs.run, signal)), signal);
    if (!isResponse(result, request))
      throw new ConnectError("the policy returned no response of the call", Code.Internal);
    kept = result;
    return result;
  } catch (reason) {
    throw policyError(reason, signal, runs.count > 0);
  } finally {
    runs.close(kept);
  }
}

/** All runs of one call. */
interface Runs {
  /** How often the policy has run the call. */
  readonly count: number;
  readonly run: (context?: PolicyContext) => Promise<Response>;
  /** Ends all streams but the one that is kept, and what the policy runs from now on. */
  close(kept: Response | undefined): void;
}

function createRuns(next: Next, request: UnaryRequest | StreamRequest, clock: Clock): Runs {
  const startedMs = clock.monotonic();
  const messagesOf = request.stream ? messagesForRuns(request) : undefined;
  const untilMessage = request.method.methodKind !== "bidi_streaming";
  /** Streams, and their response once there is one. */
  const open = new Map<RunSignal, Response | undefined>();
  let count = 0;
  let lastError: ConnectError | undefined;
  let isOver = false;

  async function run(context?: PolicyContext): Promise<Response> {
    if (isOver) throw new ConnectError("the call is over", Code.Canceled);
    count += 1;
    const number = count;
    const policySignal = context?.signal;
    const isPlain = policySignal === undefined || policySignal === request.signal;
    const header = number === 1 ? request.header : attemptHeader(request.header, number, clock.monotonic() - startedMs);
    if (!request.stream && isPlain) return await next(number === 1 ? request : { ...request, header });

    const message = messagesOf?.(number, lastError);
    const part = runSignal(request.signal, policySignal);
    const { signal } = part;
    open.set(part, undefined);
    const end = () => {
      open.delete(part);
      part.close();
    };
    try {
      const sent =
        request.stream && message !== undefined
          ? { ...request, header, signal, message }
          : { ...request, header, signal };
      const call = next(sent);
      const response = await (request.stream && untilMessage ? call.then(awaitAnswer) : call);
      if (!response.stream) {
        end();
        return response;
      }
      part.leavePolicy();
      const answer = { ...response, message: withEnd(response.message, end) };
      if (!open.has(part)) throw new ConnectError("the call is over", Code.Canceled);
      open.set(part, answer);
      return answer;
    } catch (reason) {
      lastError = ConnectError.from(reason);
      end();
      throw reason;
    }
  }

  return {
    get count() {
      return count;
    },
    run(context) {
      const call = run(context);
      // Also for policies that do not look at what they run.
      call.catch(() => {});
      return call;
    },
    close(kept) {
      isOver = true;
      for (const [part, response] of [...open]) {
        if (response !== undefined && response === kept) continue;
        open.delete(part);
        part.close();
      }
    },
  };
}

function isResponse(result: unknown, { stream }: UnaryRequest | StreamRequest): result is Response {
  if (typeof result !== "object" || result === null) return false;
  return "stream" in result && result.stream === stream && "message" in result;
}
