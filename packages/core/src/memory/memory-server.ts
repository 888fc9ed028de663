import type { DescMethod } from "@bufbuild/protobuf";
import type { ConnectRouter, ContextValues, Interceptor } from "@connectrpc/connect";
import { type Clock, systemClock } from "@cpg/resilience";
import { checkMessageBytes, DEFAULT_MAX_MESSAGE_BYTES } from "../wire/call-transport-options.ts";
import { serverStopped } from "./call-ends.ts";
import { createMemoryTransport, type MemoryTransport, type MemoryTransportOptions } from "./memory-transport.ts";
import { createMethodTable } from "./method-table.ts";
import { createOpenCalls } from "./open-calls.ts";

export interface MemoryServerOptions {
  /** Adds the RPCs, as with Connect's router. */
  routes(router: ConnectRouter): void;
  /** Interceptors of every call, on the side of the server; the first is outermost. */
  readonly interceptors?: readonly Interceptor[] | undefined;
  /**
   * Sets context values for one call, when somebody first looks at them or at its headers, which it may change. The peer,
   * of network "memory", is there already.
   */
  readonly contextValues?: ((values: ContextValues, requestHeader: Headers) => void) | undefined;
  /** Bytes of one message, in and out, as they would be on a wire. Default 4 MiB. */
  readonly maxMessageBytes?: number | undefined;
  /** Bytes of one message of a response. Default: `maxMessageBytes`. */
  readonly maxResponseBytes?: number | undefined;
  /**
   * Hands messages over as they are, checked but not copied: for code that is trusted not to change a message that it has
   * sent or received. Default false.
   */
  readonly byReference?: boolean | undefined;
  readonly clock?: Clock | undefined;
}

/** Services of this process that are called as over a wire. */
export interface MemoryServer extends AsyncDisposable {
  /** How many handlers run. */
  readonly inFlight: number;
  /** The method served under a path such as "/acme.kv.v1.KV/Get", as this server knows it. */
  method(path: string): DescMethod | undefined;
  /**
   * A way to call the services.
   * @throws {RangeError} for bad options, naming the option.
   */
  connect(options?: MemoryTransportOptions): MemoryTransport;
  /**
   * Refuses new calls with `unavailable`, waits until the handlers have ended, and after `graceMs` cuts those that run
   * still: their callers get `unavailable`, their signals abort. Resolves with how many that were. Called again, the
   * earliest end of a grace wins.
   */
  drain(graceMs: number): Promise<{ readonly cut: number }>;
  /** `drain(0)`. */
  close(): Promise<void>;
}

/**
 * Serves RPCs inside this process: without a socket, and without serialising, yet with what a wire does to calls.
 *
 * Messages are checked as they would be to be serialised, and copied in both directions, so that neither side sees what
 * the other changes later; unknown fields stay. Errors arrive with code, message, details and metadata, but without their
 * cause; what is no ConnectError arrives as `internal`. Headers, trailers, deadlines, cancellation, interceptors and limits
 * work as over HTTP. A stream hands over one message at a time, when it is asked for. A value of a wrong JavaScript type
 * is refused even where a serialiser would turn it into text or a number.
 *
 * A deadline is never early: its time counts from the end of the microtasks in which the call began, or from when its
 * handler or an interceptor first asks.
 *
 * Context values, signal and headers of a handler's context come to be when they are touched. They are accessors: a copy
 * of the context by spread lacks them, unless the call has interceptors.
 * @throws {TypeError} when two RPCs have the same path. {RangeError} for bad options, naming the option.
 * @example
 * const server = createMemoryServer({ routes: (router) => router.service(KVService, store) });
 * const client = createClient(KVService, server.connect());
 */
export function createMemoryServer(options: MemoryServerOptions): MemoryServer {
  const { routes, interceptors = [], contextValues, byReference = false, clock = systemClock } = options;
  const { maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES, maxResponseBytes = maxMessageBytes } = options;
  checkMessageBytes("maxMessageBytes", maxMessageBytes);
  checkMessageBytes("maxResponseBytes", maxResponseBytes);
  const methods = createMethodTable(routes, interceptors);
  const calls = createOpenCalls(clock, contextValues);
  let draining: Promise<{ cut: number }> | undefined;
  let endGrace = new AbortController();
  let endsAtMs = Number.POSITIVE_INFINITY;

  const runDrain = async (): Promise<{ cut: number }> => {
    if (calls.size === 0) return { cut: 0 };
    const done = calls.empty().then(() => true);
    for (;;) {
      const stop = endGrace;
      const graceOver = clock.sleep(endsAtMs - clock.monotonic(), stop.signal).then(
        () => false,
        () => undefined, // all have ended, or the grace became shorter
      );
      const ended = await Promise.race([done, graceOver]);
      stop.abort("the grace is over");
      if (ended === true) return { cut: 0 };
      if (ended === false) break;
    }
    const cut = calls.unsettled();
    const error = serverStopped();
    for (const call of cut) call.cut(error, error);
    return { cut: cut.length };
  };

  const server: MemoryServer = {
    get inFlight() {
      return calls.size;
    },
    method: (path) => methods.at(path)?.method,
    connect: (transportOptions) =>
      createMemoryTransport(transportOptions, {
        methods,
        calls,
        byReference,
        maxMessageBytes,
        maxResponseBytes,
        refusal: () => (draining === undefined ? undefined : serverStopped()),
        cutAll(owner, error) {
          for (const call of calls.unsettled()) if (call.owner === owner) call.cut(error, error);
        },
      }),
    drain(graceMs) {
      if (!(graceMs >= 0)) throw new RangeError(`graceMs must be a number of ms from 0, got ${graceMs}`);
      const endMs = clock.monotonic() + graceMs;
      if (endMs < endsAtMs) {
        endsAtMs = endMs;
        const before = endGrace;
        endGrace = new AbortController();
        before.abort("the grace became shorter");
      }
      draining ??= runDrain();
      return draining;
    },
    async close() {
      await server.drain(0);
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
  return server;
}
