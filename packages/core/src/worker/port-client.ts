import type { MessagePort } from "node:worker_threads";
import type { DescMethodStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import { Code, ConnectError, type StreamResponse, type Transport, type UnaryResponse } from "@connectrpc/connect";
import { systemClock } from "@cpg/resilience";
import { abortedBy, callerLeft, transportClosed } from "../memory/call-ends.ts";
import { createDeadlines } from "../memory/deadlines.ts";
import { createInterceptedCalls, type PlainCalls } from "../memory/intercepted-calls.ts";
import { connectionFailed } from "../wire/call-error.ts";
import type { CallTransport } from "../wire/call-transport.ts";
import { DEFAULT_MAX_MESSAGE_BYTES } from "../wire/call-transport-options.ts";
import { checkDirectCallOptions, type DirectCallOptions, type DirectEndpoint } from "../wire/direct-endpoint.ts";
import type { PortCall, PortCalls, PortLane } from "./port-call.ts";
import { createPortLink } from "./port-link.ts";
import { callStreamByPort } from "./stream-port-call.ts";
import { callUnaryByPort } from "./unary-port-call.ts";

/** The host's side of a port to a plugin. */
export interface PortClient extends DirectEndpoint {
  /** Calls that the plugin has not answered. */
  readonly inFlight: number;
  /** Resolves when the plugin takes calls. */
  readonly ready: Promise<void>;
  /** Resolves when the port has closed; with the reason when the plugin had broken the protocol. */
  readonly closed: Promise<Error | undefined>;
  /** Calls in flight, and later ones, fail with `unavailable`. Idempotent. */
  close(): void;
}

/** A plugin that has not read so much takes no more calls: what it is sent would pile up. */
const maxUnreadBytes = 32 * 1024 * 1024;

/** `name`: for errors, such as "worker:kv". */
export function createPortClient(port: MessagePort, name: string): PortClient {
  const calls = new Map<number, PortCall>();
  const { promise: ready, resolve: tellReady } = Promise.withResolvers<void>();
  const { promise: closed, resolve: tellClosed } = Promise.withResolvers<Error | undefined>();
  let ended = false;
  let violation: Error | undefined;
  let lastId = 0;

  const link = createPortLink(port, {
    onFrame(frame) {
      if (frame.kind === "ready") tellReady();
      else calls.get(frame.id)?.onFrame(frame); // it may have been given up meanwhile
    },
    onEnd(reason) {
      ended = true;
      violation = reason;
      for (const call of [...calls.values()]) call.cut(lost("call"), callerLeft);
      tellClosed(reason);
    },
  });
  const lost = (stage: "connect" | "call"): ConnectError => {
    const detail = violation === undefined ? "its port has closed" : `it broke the protocol: ${violation.message}`;
    return connectionFailed(name, stage, detail, violation);
  };
  const portCalls: PortCalls = {
    send: link.send,
    add(call) {
      do lastId = (lastId + 1) >>> 0;
      while (calls.has(lastId));
      calls.set(lastId, call);
      return lastId;
    },
    delete: (id) => calls.delete(id),
  };
  const checkOpen = (): void => {
    if (ended) throw lost("connect");
    if (link.unreadBytes <= maxUnreadBytes) return;
    throw new ConnectError(`${name} has not read ${link.unreadBytes} bytes of earlier calls`, Code.ResourceExhausted);
  };

  return {
    name,
    get inFlight() {
      return calls.size;
    },
    ready,
    closed,
    open: (options) => openPortTransport(options, portCalls, checkOpen),
    close: () => link.close(),
  };
}

function openPortTransport(options: DirectCallOptions, port: PortCalls, checkPort: () => void): CallTransport {
  const { interceptors = [], callTimeoutMs = 60_000, clock = systemClock } = options;
  const { maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES } = options;
  checkDirectCallOptions(options);
  const deadlines = createDeadlines(clock);
  const lane: PortLane = { port, deadlines, maxMessageBytes, open: new Set() };
  const watch = () => deadlines.watch();
  let isClosed = false;

  const check = (signal: AbortSignal | undefined): void => {
    if (isClosed) throw transportClosed();
    if (signal?.aborted) throw abortedBy(signal);
    checkPort();
  };
  const plain: PlainCalls = {
    unary(method, request) {
      check(request.signal);
      const response = callUnaryByPort(lane, method, request);
      void now.then(watch);
      return response;
    },
    stream(method, request) {
      check(request.signal);
      const response = callStreamByPort(lane, method, request);
      void now.then(watch);
      return response;
    },
  };
  const calls = interceptors.length === 0 ? plain : createInterceptedCalls(plain, interceptors, deadlines);

  const transport: Transport = {
    async unary(method, signal, timeoutMs, header, input, contextValues) {
      const request = {
        message: input,
        header: header && new Headers(header),
        signal,
        timeoutMs: timeoutOf(timeoutMs ?? callTimeoutMs),
        contextValues,
      };
      const response = await calls.unary(method as DescMethodUnary, request);
      return response as UnaryResponse<typeof method.input, typeof method.output>;
    },
    async stream(method, signal, timeoutMs, header, input, contextValues) {
      const request = {
        messages: input,
        header: header && new Headers(header),
        signal,
        timeoutMs: timeoutOf(timeoutMs ?? 0),
        contextValues,
      };
      const response = await calls.stream(method as DescMethodStreaming, request);
      return response as StreamResponse<typeof method.input, typeof method.output>;
    },
  };
  return {
    transport,
    httpVersion: undefined,
    close() {
      isClosed = true;
      const error = transportClosed();
      for (const call of [...lane.open]) call.cut(error, callerLeft);
      return Promise.resolve();
    },
  };
}

const now = Promise.resolve();

/** As with Connect's transports, 0 and less mean none. */
function timeoutOf(ms: number): number | undefined {
  return ms > 0 ? ms : undefined;
}
