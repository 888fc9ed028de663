import type { DescMethod } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import type { Next } from "../internal/observe-call.ts";
import { type FaultOptions, resolveFaultOptions } from "./fault-options.ts";
import { type Fault, faultError } from "./fault-plan.ts";
import { stall, stallingMessages } from "./fault-stall.ts";

/**
 * An interceptor that makes calls go wrong, on a client or a server: late, with an error, or not ending at all. Which ones
 * is decided by a seed, or by a function of the method and the number of the call. Whatever it does ends when the call is
 * aborted, and a stall ends in any case.
 * @throws {RangeError} or {TypeError} naming the option.
 * @example
 * const clock = new FakeClock();
 * const interceptors = [retry({ clock }), faults({ seed: 7, errorRate: 0.3, latencyMs: [5, 50], clock })];
 */
export function faults(options: FaultOptions = {}): Interceptor {
  const { plan, maxStallMs, clock } = resolveFaultOptions(options);
  /** Calls of each method, of which a program has no more than it has. */
  const counts = new WeakMap<DescMethod, number>();

  async function call(next: Next, request: UnaryRequest | StreamRequest, fault: Fault) {
    const { latencyMs = 0, error, stallAfter } = fault;
    const { signal } = request;
    if (latencyMs > 0) {
      await clock.sleep(latencyMs, signal).catch(() => {
        throw ConnectError.from(signal.reason, Code.Canceled);
      });
    }
    if (error !== undefined) throw faultError(error);
    if (stallAfter === undefined) return await next(request);
    if (!request.stream || stallAfter === 0) return await stall(maxStallMs, clock, signal);
    return stallLater(await next(request), stallAfter, signal);
  }

  function stallLater(response: UnaryResponse | StreamResponse, stallAfter: number, signal: AbortSignal) {
    if (!response.stream) return response;
    const message = stallingMessages(response.message, stallAfter, (left) => {
      return stall(maxStallMs, clock, AbortSignal.any([signal, left]));
    });
    return { ...response, message };
  }

  return (next) => async (request) => {
    const number = (counts.get(request.method) ?? 0) + 1;
    counts.set(request.method, number);
    return await call(next, request, plan(request.method, number) ?? {});
  };
}
