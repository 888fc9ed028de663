import {
  Code,
  ConnectError,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import { type BulkheadRefusal, bulkheadFull } from "./bulkhead-full-error.ts";
import { type BulkheadOptions, resolveBulkheadOptions } from "./bulkhead-options.ts";
import { arrive, type BulkheadState, emptyBulkhead, leaveQueue, release } from "./bulkhead-state.ts";
import { createListeners } from "./internal/listeners.ts";
import { type Next, observeCall } from "./internal/observe-call.ts";

/** Lets no more than so many calls run at a time, and so many more wait. */
export interface Bulkhead {
  readonly interceptor: Interceptor;
  /** Of one key; without `key` option there is one, "". */
  snapshot(key?: string): BulkheadSnapshot;
  /** Of every key with calls in flight. */
  snapshots(): BulkheadSnapshot[];
  /** Tells of every call that has to wait, or is rejected. Errors of the listener are dropped. Returns how to leave. */
  onEvent(listener: (event: BulkheadEvent) => void): () => void;
}

/** Something that a bulkhead that is large enough would not do. */
export interface BulkheadEvent {
  readonly key: string;
  /** "queued": it waits. Others are rejected: "full", no place in the queue; "timeout", it has waited too long. */
  readonly kind: "queued" | BulkheadRefusal;
  readonly running: number;
  readonly waiting: number;
}

/** One bulkhead at one moment. */
export interface BulkheadSnapshot extends BulkheadState {
  readonly key: string;
}

interface Compartment {
  readonly key: string;
  state: BulkheadState;
  /** In the order in which they came. Each gets the slot of another call. */
  readonly queue: Set<() => void>;
}

/**
 * A bulkhead for clients and servers: what is slow, or comes in masses, cannot take all there is. A slot that gets free
 * goes to the call that has waited longest; a call that is aborted leaves the queue. Rejects with `resource_exhausted`
 * and the proof that the call did not run.
 *
 * A unary call holds its slot until it settles, so on a server until the handler is done, even if the client is gone. A
 * stream holds its slot until it has ended; a client that leaves the loop over one should abort its signal, or the slot
 * is free only when the response is garbage collected.
 * @throws {RangeError} or {TypeError} naming the option.
 * @example
 * const bulkhead = createBulkhead({ maxConcurrent: 20, maxQueue: 50 });
 * const transport = createConnectTransport({ baseUrl, httpVersion: "2", interceptors: [bulkhead.interceptor] });
 */
export function createBulkhead(options: BulkheadOptions): Bulkhead {
  const config = resolveBulkheadOptions(options);
  const { keyOf, clock, maxKeys, queueTimeoutMs } = config;
  const listeners = createListeners<BulkheadEvent>();
  /** Only keys with calls in flight, as an empty compartment is as good as none. If there is one key only, it stays. */
  const compartments = new Map<string, Compartment>();

  const tell = ({ key, state }: Compartment, kind: BulkheadEvent["kind"]) => listeners.tell({ key, kind, ...state });

  function refuse(compartment: Compartment, refusal: BulkheadRefusal): Promise<never> {
    tell(compartment, refusal);
    return Promise.reject(bulkheadFull(compartment.key, refusal));
  }

  function run(compartment: Compartment, next: Next, request: UnaryRequest | StreamRequest) {
    return observeCall(next, request, () => {
      const { state, handOver } = release(compartment.state);
      compartment.state = state;
      if (handOver) {
        const [longest] = compartment.queue;
        longest?.();
      } else if (state.running === 0 && keyOf !== undefined) {
        compartments.delete(compartment.key);
      }
    });
  }

  /** Resolves when the call has a slot. */
  function wait(compartment: Compartment, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = new AbortController();
      const leave = () => {
        compartment.queue.delete(go);
        signal.removeEventListener("abort", onAbort);
        timer.abort(ended);
      };
      const go = () => {
        leave();
        resolve();
      };
      const onAbort = () => {
        leave();
        compartment.state = leaveQueue(compartment.state);
        reject(ConnectError.from(signal.reason, Code.Canceled));
      };
      const onTimeout = () => {
        leave();
        compartment.state = leaveQueue(compartment.state);
        tell(compartment, "timeout");
        reject(bulkheadFull(compartment.key, "timeout"));
      };
      compartment.queue.add(go);
      signal.addEventListener("abort", onAbort, { once: true });
      if (queueTimeoutMs !== Infinity) {
        clock.sleep(queueTimeoutMs, timer.signal).then(
          () => {
            if (compartment.queue.has(go)) onTimeout();
          },
          () => {}, // the wait is over
        );
      }
    });
  }

  function call(next: Next, request: UnaryRequest | StreamRequest): Promise<UnaryResponse | StreamResponse> {
    let key: string;
    try {
      key = keyOf === undefined ? "" : keyOf(request);
    } catch (reason) {
      return Promise.reject(reason);
    }
    const known = compartments.get(key);
    const compartment = known ?? { key, state: emptyBulkhead, queue: new Set() };
    if (known === undefined) {
      if (compartments.size >= maxKeys) return refuse(compartment, "full");
      compartments.set(key, compartment);
    }
    const { state, arrival } = arrive(compartment.state, config);
    if (arrival === "run") {
      compartment.state = state;
      return run(compartment, next, request);
    }
    if (request.signal.aborted) return Promise.reject(ConnectError.from(request.signal.reason, Code.Canceled));
    if (arrival === "reject") return refuse(compartment, "full");
    compartment.state = state;
    const turn = wait(compartment, request.signal);
    tell(compartment, "queued");
    return turn.then(() => run(compartment, next, request));
  }

  return {
    interceptor: (next) => (request) => call(next, request),
    snapshot: (key = "") => ({ key, ...(compartments.get(key)?.state ?? emptyBulkhead) }),
    snapshots: () =>
      [...compartments.values()].filter(({ state }) => state.running > 0).map(({ key, state }) => ({ key, ...state })),
    onEvent: listeners.add,
  };
}

const ended = new Error("the wait is over");
