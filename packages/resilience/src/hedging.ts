import type { DescMethod } from "@bufbuild/protobuf";
import type { Interceptor, StreamRequest, UnaryRequest } from "@connectrpc/connect";
import { emptyHedgeBudget, payForCall, takeHedge } from "./hedging-budget-state.ts";
import { runHedgedCall } from "./hedging-call.ts";
import { type HedgeEvent, type HedgingOptions, resolveHedgingOptions } from "./hedging-options.ts";
import { isIdempotent } from "./idempotency.ts";
import { createListeners } from "./internal/listeners.ts";
import { createLatencyHistogram, type LatencyHistogram } from "./latency-histogram.ts";

/**
 * A hedging interceptor for clients: a call that takes longer than most is begun once more, the first answer counts, and
 * what is slower is cancelled. It helps where several servers share the calls and one is slow now and then; it should be
 * inside of `retry` and the deadline, and outside of what limits or counts attempts.
 *
 * Only calls that may run twice: unary and server-streaming ones whose method is idempotent, by `idempotency_level` in
 * the .proto file, or of which `hedgeIf` says so. A server stream is handed to its reader, headers too, with its first
 * message, and not hedged after that. Other streams are never hedged.
 *
 * How long to wait is learned for each method, or fixed. Hedges are no more than `maxShare` of the calls that may be
 * hedged, counted from the first call on, so they cannot multiply an overload; where there is none left, the call goes on
 * as it is. An attempt that fails while another runs, with one of `nonFatalCodes`, ends nothing; if it was the only one,
 * its error is the error of the call, and not a reason for a hedge. A server that asks for no more attempts, or for later
 * ones, is obeyed. Hedges say to the server how many attempts were before them, in `grpc-previous-rpc-attempts`.
 * Interceptors inside of it see every attempt; they should change a copy of the headers, not add to those they are given.
 *
 * Algorithm: Dean and Barroso, The Tail at Scale, Communications of the ACM 56 (2), 2013; gRFC A6,
 * https://github.com/grpc/proposal/blob/master/A6-client-retries.md#hedging-policy, where we differ: an error never makes
 * the next hedge begin sooner, which is what `retry` is for, and hedges have a budget of their own.
 * @throws {RangeError} or {TypeError} naming the option.
 * @example
 * const interceptors = [retry(), hedging({ quantile: 0.95, maxShare: 0.05 })];
 * const transport = createConnectTransport({ baseUrl, httpVersion: "2", interceptors });
 */
export function hedging(options: HedgingOptions = {}): Interceptor {
  const config = resolveHedgingOptions(options);
  const { quantile, minCalls, windowCalls, hedgeIf, onHedge } = config;
  const listeners = createListeners<HedgeEvent>();
  if (onHedge !== undefined) listeners.add(onHedge);
  /** By method: no more than the program has. */
  const histograms = new WeakMap<DescMethod, LatencyHistogram>();
  let budget = emptyHedgeBudget;

  function mayHedge(request: UnaryRequest | StreamRequest): boolean {
    const { method } = request;
    if (method.methodKind !== "unary" && method.methodKind !== "server_streaming") return false;
    let said: boolean | undefined;
    try {
      said = hedgeIf?.(request);
    } catch {
      // As if it had said nothing.
    }
    return said ?? isIdempotent(method);
  }

  function histogramOf(method: DescMethod): LatencyHistogram {
    const known = histograms.get(method);
    if (known !== undefined) return known;
    const histogram = createLatencyHistogram(windowCalls);
    histograms.set(method, histogram);
    return histogram;
  }

  return (next) => (request) => {
    if (!mayHedge(request)) return next(request);
    budget = payForCall(budget, config);
    const { method, url } = request;
    const histogram = quantile === undefined ? undefined : histogramOf(method);
    const isKnown = histogram !== undefined && quantile !== undefined && histogram.count >= minCalls;
    return runHedgedCall(next, request, {
      config,
      delayMs: isKnown ? histogram.quantile(quantile) : config.delayMs,
      takeHedge() {
        const { granted, state } = takeHedge(budget);
        budget = state;
        return granted;
      },
      onHedge: (attempt, elapsedMs) => listeners.tell({ attempt, elapsedMs, method, url }),
      onLatency: (ms) => histogram?.record(ms),
    });
  };
}
