import type { SecureContext } from "node:tls";
import type { Registry } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import type { UniversalClientFn, UniversalClientResponse } from "@connectrpc/connect/protocol";
import { createTransport as createConnectTransport } from "@connectrpc/connect/protocol-connect";
import { createTransport as createGrpcTransport } from "@connectrpc/connect/protocol-grpc";
import { createTransport as createGrpcWebTransport } from "@connectrpc/connect/protocol-grpc-web";
import { compressionBrotli, compressionGzip, createNodeHttpClient } from "@connectrpc/connect-node";
import type { Clock } from "@cpg/resilience";
import { followTlsUpdates } from "../internal/tls-updates.ts";
import { callError, connectionFailed } from "./call-error.ts";
import {
  type ResolvedCallTransportOptions,
  resolveCallTransportOptions,
  secureContextOf,
} from "./call-transport-options.ts";
import { type ClientTlsOptions, createDialer, type Dialer } from "./dial.ts";
import { type Endpoint, formatEndpoint } from "./endpoint.ts";
import { createEnvelopeCheck } from "./envelope-check.ts";
import { createHttp1Agent } from "./http1-agent.ts";
import { createHttp1Liveness } from "./http1-liveness.ts";
import { createHttp2Sessions } from "./http2-sessions.ts";
import { retryRefused } from "./retry-refused.ts";
import { sentTimeoutMs } from "./sent-timeout.ts";
import { boundedTimeout, shortenGrpcTimeout } from "./timeout-header.ts";

export type { ClientTlsOptions } from "./dial.ts";

export interface CallTransportOptions {
  readonly endpoint: Endpoint;
  readonly httpVersion: "1.1" | "2";
  /** Default "connect". */
  readonly protocol?: "connect" | "grpc" | "grpc-web" | undefined;
  /** Messages as JSON instead of binary. Default false. */
  readonly json?: boolean | undefined;
  /** Types that may stand in google.protobuf.Any when messages are JSON. Default: none. */
  readonly registry?: Registry | undefined;
  /** The first is outermost. */
  readonly interceptors?: readonly Interceptor[] | undefined;
  /** For an https endpoint only. */
  readonly tls?: ClientTlsOptions | undefined;
  /**
   * Bound on a connection, in ms: on TCP and TLS together, and with HTTP/2 again on the server's first frame.
   * Default 10 000.
   */
  readonly connectTimeoutMs?: number | undefined;
  /** Time-out of unary calls that set none themselves, in ms. 0: none. Default 60 000. Streams have no total limit. */
  readonly callTimeoutMs?: number | undefined;
  /**
   * Silence after which a server with open calls (HTTP/1.1: open streams) has to give a sign of life, in ms. 0: never.
   * HTTP/2 sends a PING; HTTP/1.1 asks for /healthz beside the stream and takes any answer. Default 20 000.
   */
  readonly pingIntervalMs?: number | undefined;
  /** Time for that sign of life, in ms; then the connections end with `unavailable`. Default 15 000. */
  readonly pingTimeoutMs?: number | undefined;
  /** Time after which an unused connection closes, in ms. Default 300 000. */
  readonly idleTimeoutMs?: number | undefined;
  /** Sockets at a time over HTTP/1.1, streams included; further calls wait for one. Default 256. */
  readonly maxSockets?: number | undefined;
  /** Bytes of one message, in and out. Default 4 MiB. */
  readonly maxMessageBytes?: number | undefined;
  /** Whether servers may compress (gzip, br). Default: not on loopback and Unix sockets, elsewhere yes. */
  readonly compression?: boolean | undefined;
  /** Compresses requests with this algorithm, which the server has to know. Default: none. */
  readonly sendCompression?: "gzip" | "br" | undefined;
  /** With `sendCompression`: smaller messages are sent uncompressed. 0: compress all. Default 1024. */
  readonly compressMinBytes?: number | undefined;
  /** Sends Connect calls of methods without side effects as GET. Default false. */
  readonly httpGet?: boolean | undefined;
  /**
   * Hears when the server ends a connection or says that it is about to, and when a connection breaks: it may be gone. HTTP/2
   * only; over HTTP/1.1 it is usual that a connection without a call ends. Must not throw.
   */
  readonly onLost?: (() => void) | undefined;
  readonly clock?: Clock | undefined;
}

export interface CallTransport {
  readonly transport: Transport;
  /** Undefined: calls do not travel over HTTP. */
  readonly httpVersion: "1.1" | "2" | undefined;
  /** Ends all connections; calls in flight, and later ones, fail with `canceled`. Idempotent. */
  close(): Promise<void>;
}

const createTransport = {
  connect: createConnectTransport,
  grpc: createGrpcTransport,
  "grpc-web": createGrpcWebTransport,
};
const algorithms = { gzip: compressionGzip, br: compressionBrotli };

/**
 * How calls travel to one endpoint. Does no I/O before the first call.
 *
 * Every call ends: a connection that cannot be made, breaks, or whose server gives no sign of life, ends its calls with
 * `unavailable` (cause: ConnectionError); a unary call also ends at its time-out with `deadline_exceeded`. A stream over
 * a live connection may be silent for as long as it likes: whoever wants it bounded sets `timeoutMs` or a signal.
 * @throws {TypeError} {RangeError} for bad options, naming the option.
 */
export function openCallTransport(options: CallTransportOptions): CallTransport {
  const resolved = resolveCallTransportOptions(options);
  const { endpoint, httpVersion, callTimeoutMs, maxMessageBytes, clock } = resolved;
  const sendCompression = resolved.sendCompression === undefined ? null : algorithms[resolved.sendCompression];
  const closed = new AbortController();
  const onLost = (): void => {
    if (!closed.signal.aborted) options.onLost?.();
  };
  const wire = httpVersion === "2" ? openHttp2(resolved, onLost) : openHttp1(resolved);
  const { tls } = resolved;
  const stopUpdates = followTlsUpdates(tls?.updates, (material) => {
    wire.useSecureContext(secureContextOf({ ...tls, ...material }));
  });

  const httpClient: UniversalClientFn = async (request) => {
    closed.signal.throwIfAborted();
    const onFailure = (reason: unknown): never => {
      if (request.signal?.aborted) throw ConnectError.from(reason, Code.Canceled);
      closed.signal.throwIfAborted();
      const error = callError(endpoint, reason);
      // The server's clock was faster: it cancels a call whose time is up, and says no more.
      if (error.code !== Code.Canceled || clock.monotonic() < deadlineMs) throw error;
      throw new ConnectError("the time of the call is up", Code.DeadlineExceeded, undefined, undefined, error);
    };
    shortenGrpcTimeout(request.header);
    const deadlineMs = clock.monotonic() + (sentTimeoutMs(request.header) ?? Number.POSITIVE_INFINITY);
    const response = await wire.client(request).catch(onFailure);
    return { ...response, body: checkedBody(response, onFailure) };
  };

  const inner = createTransport[resolved.protocol]({
    httpClient,
    baseUrl: resolved.baseUrl,
    useBinaryFormat: !resolved.json,
    interceptors: wire.interceptors(resolved.interceptors),
    // A server may answer with the algorithm of the request.
    acceptCompression: resolved.compression
      ? [compressionGzip, compressionBrotli]
      : sendCompression
        ? [sendCompression]
        : [],
    sendCompression,
    // Connect compares with > here and >= there; only below 0 does an empty message count.
    compressMinBytes: resolved.compressMinBytes === 0 ? -1 : resolved.compressMinBytes,
    readMaxBytes: maxMessageBytes,
    writeMaxBytes: maxMessageBytes,
    useHttpGet: resolved.httpGet,
    ...(resolved.registry === undefined ? {} : { jsonOptions: { registry: resolved.registry } }),
  });

  const transport: Transport = {
    async unary(method, signal, timeoutMs = callTimeoutMs || undefined, ...rest) {
      closed.signal.throwIfAborted();
      return inner.unary(method, signal, boundedTimeout(timeoutMs), ...rest);
    },
    async stream(method, signal, timeoutMs, ...rest) {
      closed.signal.throwIfAborted();
      return inner.stream(method, signal, boundedTimeout(timeoutMs), ...rest);
    },
  };

  let closing: Promise<void> | undefined;
  return {
    transport,
    httpVersion,
    close() {
      if (closing === undefined) {
        const reason = new ConnectError(`the transport to ${formatEndpoint(endpoint)} is closed`, Code.Canceled);
        stopUpdates();
        closed.abort(reason);
        closing = wire.close(reason);
      }
      return closing;
    },
  };
}

/** HTTP of one version below the RPC protocols. */
interface Wire {
  readonly client: UniversalClientFn;
  interceptors(above: readonly Interceptor[]): Interceptor[];
  /** For calls from now on. */
  useSecureContext(context: SecureContext): void;
  close(reason: Error): Promise<void>;
}

function openHttp2(options: ResolvedCallTransportOptions, onLost: () => void): Wire {
  const dialer = createDialer({ ...options, alpn: "h2" });
  const sessions = createHttp2Sessions({ ...options, dialer, onLost });
  return {
    client: retryRefused(createNodeHttpClient({ httpVersion: "2", sessionProvider: () => sessions })),
    interceptors: (above) => [...above],
    useSecureContext(context) {
      dialer.useSecureContext(context);
      sessions.renew();
    },
    close: (reason) => dialer.close(reason),
  };
}

function openHttp1(options: ResolvedCallTransportOptions): Wire {
  const { endpoint, origin, secure, pingTimeoutMs } = options;
  const dialer: Dialer = createDialer({ ...options, alpn: "http/1.1" });
  const sockets = createHttp1Agent({ ...options, secure, dialer });
  const pings = createHttp1Agent({ ...options, secure, dialer, maxSockets: 1 });
  const liveness = createHttp1Liveness({
    origin,
    agent: pings.agent,
    intervalMs: options.pingIntervalMs,
    timeoutMs: pingTimeoutMs,
    clock: options.clock,
    onSilence() {
      void dialer.destroy(connectionFailed(endpoint, "call", `no sign of life within ${pingTimeoutMs} ms`));
    },
  });
  const watchStreams: Interceptor = (next) => (request) => {
    if (request.stream) liveness.watch(request.signal);
    return next(request);
  };
  return {
    client: createNodeHttpClient({ httpVersion: "1.1", nodeOptions: { agent: sockets.agent } }),
    interceptors: (above) => [...above, watchStreams],
    useSecureContext(context) {
      dialer.useSecureContext(context);
      sockets.renew();
      pings.renew();
    },
    close(reason) {
      liveness.close();
      return dialer.close(reason);
    },
  };
}

/** The body, with typed errors for a connection that breaks and for a body that ends too early. */
function checkedBody(
  { body, header }: UniversalClientResponse,
  onFailure: (reason: unknown) => never,
): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const chunks = body[Symbol.asyncIterator]();
      const check = createEnvelopeCheck(header.get("Content-Type"));
      const onChunk = (chunk: IteratorResult<Uint8Array>) => {
        if (chunk.done) check?.end();
        else check?.add(chunk.value);
        return chunk;
      };
      return {
        next: () => chunks.next().then(onChunk, onFailure),
        throw: (reason) => chunks.throw?.(reason) ?? Promise.reject(reason),
      };
    },
  };
}
