import type { EventEmitter } from "node:events";
import { chmodSync } from "node:fs";
import type { Server } from "node:http";
import { constants } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { type Clock, socketPeer, systemClock } from "@cpg/resilience";
import { refuseMalformed } from "./client-error.ts";
import { type Connection, createConnection } from "./connection.ts";
import { replaceWhenOld } from "./connection-age.ts";
import { rememberPeer } from "./connection-peer.ts";
import { createDrain } from "./drain.ts";
import { type FirstBytes, readFirstBytes } from "./first-bytes.ts";
import { createHttp1Server, createHttp2Server } from "./http-servers.ts";
import { closeWhenIdle } from "./idle-session.ts";
import { type BoundAddress, formatEndpoint, type ListenAddress, resolveListenAddress } from "./listen-address.ts";
import { listenFailure } from "./listen-failure.ts";
import { type ListenerLimitOptions, resolveListenerLimits } from "./listener-limits.ts";
import type { NodeHandler, StreamHandler } from "./node-handler.ts";
import type { ServerTlsOptions } from "./server-tls.ts";
import { createTlsUpgrade } from "./tls-upgrade.ts";
import { claimSocketPath } from "./unix-socket.ts";

export { peerOf } from "./connection-peer.ts";
export type { BoundAddress, ListenAddress } from "./listen-address.ts";
export type { ListenerLimitOptions, ListenerLimits } from "./listener-limits.ts";
export type { NodeHandler, NodeServerResponse } from "./node-handler.ts";
export type { ServerTlsOptions } from "./server-tls.ts";

export interface ListenerOptions {
  readonly address: ListenAddress;
  /** Default: cleartext. For a port only. */
  readonly tls?: ServerTlsOptions | undefined;
  readonly limits?: ListenerLimitOptions | undefined;
  /** What it throws is answered with 500, or cuts the answer that has begun. */
  readonly handler: NodeHandler;
  /** Is asked first about each HTTP/2 request. What it throws is answered as what `handler` throws. Default: takes none. */
  readonly streamHandler?: StreamHandler | undefined;
  /** For the grace of a drain and the time-outs of connections; those of HTTP/1 headers and keep-alive are Node's own. */
  readonly clock?: Clock | undefined;
  /** Hears of errors that no caller gets to see: broken connections, malformed requests, failed TLS handshakes. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

export interface Listener extends AsyncDisposable {
  /** What a client on this machine takes to connect: "http://127.0.0.1:4242", "https://…" or "unix:/path". */
  readonly endpoint: string;
  readonly address: BoundAddress;
  /** Requests that were not answered to the end yet. */
  readonly inFlight: number;
  /** Connections that are open. */
  readonly connections: number;
  /** Connections that were closed at once because there were `limits.maxConnections`, so far. */
  readonly refused: number;
  /**
   * Accepts no more connections, closes idle ones, lets calls in flight finish (HTTP/1.1 "Connection: close", HTTP/2
   * GOAWAY), and cuts what remains after the grace. Resolves when every connection is closed, with the number of calls
   * that were cut. A second call shares the first's result; a shorter grace shortens it.
   * @throws {RangeError} for a negative grace.
   */
  drain(graceMs: number): Promise<{ readonly cut: number }>;
  /** `drain(0)`. */
  close(): Promise<void>;
}

/**
 * Listens on one port, or Unix socket, for HTTP/1.1 and HTTP/2: in cleartext by what a connection begins with (HTTP/2
 * needs prior knowledge), over TLS by ALPN. Resolves when connections are accepted.
 *
 * Node's own limits against floods of HTTP/2 SETTINGS, PING, invalid frames and refused streams stay in force.
 * @throws {TypeError} {RangeError} for bad options, naming the option. {Error} of Node when it cannot listen.
 */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const { handler, clock = systemClock, onError = () => {} } = options;
  const limits = resolveListenerLimits(options.limits);
  const { address: wanted, mode } = resolveListenAddress(options.address, options.tls !== undefined);
  const network = wanted.kind;

  const report = (error: unknown) => {
    try {
      onError(error);
    } catch {
      // Whoever listens to errors has nobody else to tell either.
    }
  };
  const connections = new Set<Connection>();
  /** By what a request carries: the socket of HTTP/1, the session of HTTP/2. */
  const carriers = new WeakMap<object, Connection>();
  let inFlight = 0;
  let refused = 0;
  let onEmpty = () => {};

  const onRequest: NodeHandler = (request, response) => {
    const isHttp2 = "stream" in request;
    const carrier = isHttp2 ? request.stream.session : request.socket;
    const connection = carrier && carriers.get(carrier);
    if (connection !== undefined) {
      // The stream, because a response to HEAD does not always tell that it was closed.
      const closing: EventEmitter = isHttp2 ? request.stream : response;
      closing.once("close", () => connection.end(response));
      connection.begin(response);
    }
    response.on("error", report);
    try {
      handler(request, response);
    } catch (error) {
      report(error);
      if (response.headersSent) {
        response.destroy();
      } else {
        response.statusCode = 500;
        response.end();
      }
    }
  };

  const onStream: StreamHandler = (stream, headers, rawHeaders) => {
    const connection = stream.session && carriers.get(stream.session);
    try {
      if (options.streamHandler?.(stream, headers, rawHeaders) !== true) return false;
    } catch (error) {
      report(error);
      if (stream.headersSent || stream.destroyed) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      else stream.respond({ ":status": 500 }, { endStream: true });
    }
    stream.on("error", report);
    if (connection !== undefined && !stream.closed) {
      stream.once("close", () => connection.end(stream));
      connection.begin(stream);
    }
    return true;
  };

  const onConnection = (socket: Socket) => {
    const opening = new AbortController();
    const ended = new AbortController();
    const settings = { clock, maxRequests: limits.maxRequestsPerConnection };
    const connection = createConnection(socket, settings, {
      onBegin() {
        inFlight++;
      },
      onEnd(count) {
        inFlight -= count;
        if (inFlight === 0) drain.onIdle();
      },
      onClosed() {
        connections.delete(connection);
        opening.abort();
        ended.abort("the connection has ended");
        if (connections.size === 0) onEmpty();
      },
    });
    connections.add(connection);
    const fail = (message: string) => {
      report(new Error(`${message} (peer ${socket.remoteAddress ?? "on a Unix socket"})`));
      socket.destroy();
    };
    clock.sleep(limits.headerTimeoutMs, opening.signal).then(
      () => fail(`a connection began no request within ${limits.headerTimeoutMs} ms`),
      () => {}, // it did, or it is gone
    );
    socket.on("error", report);
    void replaceWhenOld(connection, limits.maxConnectionAgeMs, clock, ended.signal);

    const speak = (carrier: Socket, version: "http1" | "http2") => {
      opening.abort();
      // From here on HTTP hears of its errors; of those of the socket below TLS nobody else does.
      if (carrier === socket) socket.off("error", report);
      const peer = socketPeer(carrier, network);
      if (version === "http1") {
        rememberPeer(carrier, peer);
        carriers.set(carrier, connection);
        connection.useHttp1(carrier);
        http1.serve(carrier);
        return;
      }
      carrier.allowHalfOpen = false;
      const session = http2.serve(carrier);
      if (session === undefined) {
        carrier.destroy();
        return;
      }
      rememberPeer(session, peer);
      carriers.set(session, connection);
      connection.useHttp2(session);
      void closeWhenIdle(connection, limits.idleTimeoutMs, clock, ended.signal);
    };
    const onKnown = (first: FirstBytes) => {
      if (first !== "tls") {
        if (tls === undefined || options.tls?.allowCleartext) speak(socket, first);
        else fail("a connection did not begin with TLS");
      } else if (tls === undefined) {
        fail("a connection began with TLS, which is not configured");
      } else {
        tls.start(socket, (secure) => speak(secure, secure.alpnProtocol === "h2" ? "http2" : "http1"));
      }
    };
    const stopReading = readFirstBytes(socket, onKnown);
    opening.signal.addEventListener("abort", stopReading, { once: true });
  };

  const http1 = createHttp1Server(limits, onConnection, onRequest);
  const http2 = createHttp2Server(limits, onRequest, options.streamHandler && onStream);
  const tls = options.tls && createTlsUpgrade(options.tls, limits.headerTimeoutMs, report);
  http1.server.on("drop", () => refused++);
  http1.server.on("clientError", (error, socket) => {
    report(error);
    refuseMalformed(error, socket, carriers.get(socket)?.answering ?? false);
  });
  http2.server.on("sessionError", report);

  const drain = createDrain(
    {
      get inFlight() {
        return inFlight;
      },
      async retire() {
        // The server may be closed before its last socket has said so.
        const empty = new Promise<void>((resolve) => {
          onEmpty = resolve;
        });
        tls?.close();
        if (connections.size === 0) onEmpty();
        const closed = new Promise<void>((resolve) => http1.server.close(() => resolve()));
        for (const connection of connections) connection.retire();
        await Promise.all([empty, closed]);
      },
      cut() {
        const calls = inFlight;
        for (const connection of connections) connection.cut();
        return calls;
      },
    },
    clock,
  );

  const address = await listen(http1.server, wanted, mode).catch((reason: unknown) => {
    tls?.close();
    throw reason;
  });
  http1.server.on("error", report);
  const close = async () => {
    await drain.start(0);
  };
  return {
    endpoint: formatEndpoint(address),
    address,
    get inFlight() {
      return inFlight;
    },
    get connections() {
      return connections.size;
    },
    get refused() {
      return refused;
    },
    drain: async (graceMs) => drain.start(graceMs),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Connections that wait to be accepted: a thousand callers may come at once. */
const backlog = 1024;

async function listen(server: Server, wanted: BoundAddress, mode: number): Promise<BoundAddress> {
  if (wanted.kind === "unix") await claimSocketPath(wanted.path);
  const listening = new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
  });
  if (wanted.kind === "unix") {
    server.listen({ path: wanted.path, backlog });
    // Bound by now, and in the same turn, so that nobody was accepted under other permissions.
    if (server.listening) chmodSync(wanted.path, mode);
    await listening;
    return wanted;
  }
  server.listen({ host: wanted.host, port: wanted.port, backlog });
  await listening.catch((reason: unknown) => {
    throw listenFailure(wanted, reason);
  });
  const { port } = server.address() as AddressInfo;
  return { ...wanted, port };
}
