import type { Interceptor, StreamRequest, StreamResponse, UnaryRequest, UnaryResponse } from "@connectrpc/connect";
import { circuitOpen } from "./circuit-open-error.ts";
import { type CircuitBreakerOptions, resolveCircuitBreakerOptions } from "./circuit-options.ts";
import {
  admit,
  afterCall,
  type CallVerdict,
  type CircuitKind,
  type CircuitState,
  closedCircuit,
} from "./circuit-state.ts";
import { verdictOnError } from "./circuit-verdict.ts";
import { lookUpByCall } from "./internal/keyed-call.ts";
import { createKeyedStore } from "./internal/keyed-store.ts";
import { createListeners } from "./internal/listeners.ts";
import { type CallOutcome, failedCall, type Next, observeCall } from "./internal/observe-call.ts";
import { createCountWindow, createTimeWindow, type SlidingWindow, type WindowCounts } from "./sliding-window.ts";

/** Stops calling what does not work, and finds out with a few calls whether it works again. One circuit per key. */
export interface CircuitBreaker {
  readonly interceptor: Interceptor;
  /** An open circuit stays "open" after its time until a call comes and makes it "half-open". */
  state(key: string): CircuitKind;
  snapshot(key: string): CircuitSnapshot;
  /** Of every circuit that is remembered. */
  snapshots(): CircuitSnapshot[];
  /** Tells of every change from now on, after it happened; errors of the listener are dropped. Returns how to leave. */
  onStateChange(listener: (change: CircuitChange) => void): () => void;
  /** Lets no call through (isolates the callee) until `forceClosed` or `reset`. Without a key: every key, new ones too. */
  forceOpen(key?: string): void;
  /** Lets every call through (disables the breaker) until `forceOpen` or `reset`. Without a key: every key, new ones too. */
  forceClosed(key?: string): void;
  /** Closes the circuit and forgets what it has seen and what was forced. Without a key: every key. */
  reset(key?: string): void;
}

/** A circuit that is in another state than before. */
export interface CircuitChange {
  readonly key: string;
  readonly from: CircuitKind;
  readonly to: CircuitKind;
}

/** One circuit at one moment. */
export interface CircuitSnapshot {
  readonly key: string;
  readonly state: CircuitKind;
  /** Failures in a row, while closed. */
  readonly failures: number;
  /** Successful probes, while half-open. */
  readonly successes: number;
  /** Probes under way, while half-open. */
  readonly probes: number;
  /** How much longer it lets nothing in, while open. 0 otherwise. */
  readonly openForMs: number;
  /** Calls rejected since the circuit is remembered. */
  readonly rejected: number;
  /** The calls over which rates are taken, while closed; undefined if no rate is configured. */
  readonly window: WindowCounts | undefined;
}

interface Circuit {
  readonly key: string;
  state: CircuitState;
  /** Raised with every change: the end of a call that began in an earlier one does not count. */
  epoch: number;
  rejected: number;
  readonly window: SlidingWindow | undefined;
}

const forcedOpen: CircuitState = { kind: "forced-open" };
const forcedClosed: CircuitState = { kind: "forced-closed" };

/**
 * A circuit breaker for clients. Rejects with `unavailable`, with a retry delay and the proof that the call did not run.
 * On a server it works too, but there a bulkhead or a rate limit is what protects.
 *
 * A stream counts once, when it ends; as a probe it has succeeded with its first message. What its caller cancels, or
 * leaves, says nothing and frees the place of the probe.
 * @throws {RangeError} or {TypeError} naming the option.
 * @example
 * const breaker = createCircuitBreaker({ failureThreshold: 3, openMs: 5_000 });
 * const transport = createConnectTransport({ baseUrl, httpVersion: "2", interceptors: [breaker.interceptor] });
 */
export function createCircuitBreaker(options: CircuitBreakerOptions = {}): CircuitBreaker {
  const config = resolveCircuitBreakerOptions(options);
  const { clock, slowCallMs, maxKeys } = config;
  const listeners = createListeners<CircuitChange>();
  const forced = new Map<string, CircuitState>();
  let forcedAll: CircuitState | undefined;
  const initialState = (key: string) => forced.get(key) ?? forcedAll ?? closedCircuit;

  function newCircuit(key: string): Circuit {
    return { key, state: initialState(key), epoch: 0, rejected: 0, window: createWindow(config) };
  }
  const circuits = createKeyedStore<Circuit>({
    maxKeys,
    create: newCircuit,
    isIdle: ({ key, state, window }) => {
      if (state !== initialState(key)) return false;
      if (window === undefined) return true;
      const { failures, slowCalls } = window.counts(clock.monotonic());
      return failures + slowCalls === 0;
    },
  });

  const circuitOf = lookUpByCall(config.key, config.keyOf, circuits);

  function setState(circuit: Circuit, next: CircuitState): void {
    const { key, state } = circuit;
    circuit.state = next;
    if (next.kind === state.kind) return;
    circuit.epoch += 1;
    if (next.kind === "closed") circuit.window?.clear();
    listeners.tell({ key, from: state.kind, to: next.kind });
  }

  function settled(circuit: Circuit, verdict: CallVerdict, probe: number | undefined, slow: boolean): void {
    const { state, window } = circuit;
    // Only these can open the circuit, and need the time.
    const nowMs = window !== undefined || verdict === "failure" ? clock.monotonic() : 0;
    let counts: WindowCounts | undefined;
    if (window !== undefined && state.kind === "closed" && verdict !== "ignored") {
      window.add(verdict === "failure", slow, nowMs);
      counts = window.counts(nowMs);
    }
    const judged = slow && state.kind === "half-open" && verdict === "success" ? "failure" : verdict;
    const next = afterCall(state, { verdict: judged, probe, counts }, nowMs, config);
    if (next !== state) setState(circuit, next);
  }

  function verdictOf(outcome: CallOutcome, request: UnaryRequest | StreamRequest): CallVerdict {
    if (outcome.ok) return "success";
    if (outcome.cancelled) return "ignored";
    try {
      return config.classify(outcome.error, request);
    } catch {
      return verdictOnError(outcome.error);
    }
  }

  /** What `call` does in the usual case, without what that does not need: this is run for every call. */
  function callClosed(circuit: Circuit, next: Next, request: UnaryRequest) {
    const { epoch } = circuit;
    const onFailure = (reason: unknown) => {
      const verdict = verdictOf(failedCall(reason, request.signal), request);
      if (circuit.epoch === epoch) settled(circuit, verdict, undefined, false);
    };
    let call: Promise<UnaryResponse | StreamResponse>;
    try {
      call = next(request);
    } catch (reason) {
      onFailure(reason);
      return Promise.reject(reason);
    }
    call.then(() => {
      if (circuit.epoch === epoch && circuit.state !== closedCircuit) settled(circuit, "success", undefined, false);
    }, onFailure);
    return call;
  }

  function call(next: Next, request: UnaryRequest | StreamRequest): Promise<UnaryResponse | StreamResponse> {
    let circuit: Circuit;
    try {
      circuit = circuitOf(request);
    } catch (reason) {
      return Promise.reject(reason);
    }
    if (circuit.state.kind === "closed" && !config.hasRates && !request.stream) {
      return callClosed(circuit, next, request);
    }
    let { epoch } = circuit;
    let probe: number | undefined;
    if (circuit.state.kind !== "closed") {
      const admission = admit(circuit.state, clock.monotonic(), config);
      if (!admission.admitted) {
        circuit.rejected += 1;
        return Promise.reject(circuitOpen(circuit.key, circuit.state.kind, admission.retryAfterMs));
      }
      probe = admission.probe;
      // Before listeners are told, who may change it again.
      if (admission.state.kind !== circuit.state.kind) epoch += 1;
      setState(circuit, admission.state);
    }
    const startedMs = slowCallMs === Infinity || request.stream ? undefined : clock.monotonic();
    const onSettled = (outcome: CallOutcome) => {
      const verdict = verdictOf(outcome, request);
      const slow = startedMs !== undefined && clock.monotonic() - startedMs >= slowCallMs;
      if (circuit.epoch === epoch) settled(circuit, verdict, probe, slow);
    };
    if (probe === undefined) return observeCall(next, request, onSettled);
    const onAnswer = () => {
      if (circuit.epoch === epoch) settled(circuit, "success", probe, false);
    };
    return observeCall(next, request, onSettled, onAnswer);
  }

  function force(state: CircuitState, key: string | undefined): void {
    if (key === undefined) {
      forced.clear();
      forcedAll = state;
      for (const [, circuit] of [...circuits.entries()]) setState(circuit, state);
      return;
    }
    if (!forced.has(key) && forced.size >= maxKeys) {
      throw new RangeError(`no more than maxKeys (${maxKeys}) circuits can be forced by key`);
    }
    const circuit = circuits.get(key);
    forced.set(key, state);
    setState(circuit, state);
  }

  function snapshotOf({ key, state, rejected, window }: Circuit): CircuitSnapshot {
    const nowMs = clock.monotonic();
    return {
      key,
      state: state.kind,
      failures: state.kind === "closed" ? state.failures : 0,
      successes: state.kind === "half-open" ? state.successes : 0,
      probes: state.kind === "half-open" ? state.probes.length : 0,
      openForMs: state.kind === "open" ? Math.max(0, state.untilMs - nowMs) : 0,
      rejected,
      window: window?.counts(nowMs),
    };
  }

  return {
    interceptor: (next) => (request) => call(next, request),
    state: (key) => circuits.peek(key)?.state.kind ?? initialState(key).kind,
    snapshot: (key) => snapshotOf(circuits.peek(key) ?? newCircuit(key)),
    snapshots: () => [...circuits.entries()].map(([, circuit]) => snapshotOf(circuit)),
    onStateChange: listeners.add,
    forceOpen: (key) => force(forcedOpen, key),
    forceClosed: (key) => force(forcedClosed, key),
    reset(key) {
      const chosen = key === undefined ? [...circuits.entries()].map(([, circuit]) => circuit) : [circuits.peek(key)];
      if (key === undefined) {
        forced.clear();
        forcedAll = undefined;
      } else if (forcedAll === undefined) {
        forced.delete(key);
      } else {
        forced.set(key, closedCircuit);
      }
      for (const circuit of chosen) {
        if (circuit === undefined) continue;
        circuit.epoch += 1;
        circuit.window?.clear();
        setState(circuit, closedCircuit);
      }
    },
  };
}

function createWindow({ hasRates, windowMs, windowCalls }: ReturnType<typeof resolveCircuitBreakerOptions>) {
  if (!hasRates) return undefined;
  return windowMs === undefined ? createCountWindow(windowCalls) : createTimeWindow(windowMs);
}
