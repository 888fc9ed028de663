import { createServer as createHttp1Server, type Server as Http1Server } from "node:http";
import { createServer as createHttp2Server, type ServerHttp2Session } from "node:http2";
import { createServer as createHttpsServer, type ServerOptions as HttpsServerOptions } from "node:https";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { type Clock, systemClock } from "@cpg/resilience";
import { rememberPeer } from "./connection-peer.ts";
import { createConnections } from "./connections.ts";
import { type BoundAddress, checkListenAddress, endpointOf, type ListenAddress, listenOn } from "./listen-on.ts";
import { type ListenerLimits, resolveListenerLimits } from "./listener-limits.ts";
import type { NodeHandler } from "./node-handler.ts";
import { sniffProtocol } from "./sniff-protocol.ts";

export type { BoundAddress, ListenAddress } from "./listen-on.ts";
export type { ListenerLimits } from "./listener-limits.ts";
export type { NodeHandler, NodeServerRequest, NodeServerResponse } from "./node-handler.ts";
export { peerOf } from "./connection-peer.ts";

/** Node's options of the same names. */
export interface ServerTlsOptions
  extends Pick<
    HttpsServerOptions,
    "cert" | "key" | "ca" | "crl" | "passphrase" | "requestCert" | "rejectUnauthorized" | "SNICallback" | "ciphers"
  > {
  /** Default "TLSv1.2". */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3" | undefined;
  /** Serve unencrypted HTTP on the same port, too. Default false: it is refused. */
  readonly allowCleartext?: boolean | undefined;
}

export interface ListenerOptions {
  readonly address: ListenAddress;
  /** Default: no TLS. */
  readonly tls?: ServerTlsOptions | undefined;
  readonly limits?: { readonly [Name in keyof ListenerLimits]?: number | undefined } | undefined;
  readonly handler: NodeHandler;
  /** Hears of broken connections and malformed requests. Default: nobody. */
  readonly onError?: ((error: unknown) => void) | undefined;
  readonly clock?: Clock | undefined;
}

export interface Listener extends AsyncDisposable {
  /** What a client takes: "http://127.0.0.1:4242", "https://…" or "unix:/path". */
  readonly endpoint: string;
  readonly address: BoundAddress;
  /** Calls that have not ended. */
  readonly inFlight: number;
  /** Open connections. */
  readonly connections: number;
  /**
   * Accepts no more connections, lets the calls in flight finish within `graceMs`, then cuts what remains. Resolves, when
   * nothing is open any more, with the number of calls that were cut. Called again it shares the result; the earliest
   * end of a grace wins.
   */
  drain(graceMs: number): Promise<{ readonly cut: number }>;
  /** As `drain(0)`. */
  close(): Promise<void>;
}

/**
 * Listens on one port or Unix socket for HTTP/1.1 and HTTP/2: without TLS the first bytes of a connection tell which
 * (RFC 9113 section 3.3, prior knowledge), with TLS its ALPN does.
 * @throws {TypeError} {RangeError} for bad options. {Error} of Node when it cannot listen.
 */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const { address, tls, handler, clock = systemClock, onError = () => {} } = options;
  checkListenAddress(address);
  const limits = resolveListenerLimits(options.limits);
  const sniffing = { clock, timeoutMs: limits.headerTimeoutMs };

  const connections = createConnections(() => {
    acceptor.closeIdleConnections();
    cleartext?.closeIdleConnections();
  });
  const onCall: NodeHandler = (request, response) => {
    const session = "stream" in request ? request.stream.session : undefined;
    connections.addCall(response, session as ServerHttp2Session | undefined);
    handler(request, response);
  };
  const http1Options = {
    headersTimeout: limits.headerTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.idleTimeoutMs,
    maxHeaderSize: limits.maxHeaderBytes,
    // How often Node looks for overdue headers.
    connectionsCheckingInterval: Math.min(limits.headerTimeoutMs, 5_000),
    noDelay: true,
    keepAlive: true,
  };

  // Never listens: it is handed connections.
  const http2 = createHttp2Server(
    { settings: { maxConcurrentStreams: limits.maxConcurrentStreams, maxHeaderListSize: limits.maxHeaderBytes } },
    onCall,
  );
  http2.on("session", (session) => connections.addSession(session, limits.idleTimeoutMs));
  http2.on("session", (session) => rememberPeer(session, socketOf(session)));
  http2.on("sessionError", onError);

  const acceptor: Http1Server =
    tls === undefined
      ? createHttp1Server(http1Options, onCall)
      : createHttpsServer(
          { minVersion: "TLSv1.2", ...http1Options, ...withoutCleartext(tls), ...alpn, handshakeTimeout: limits.headerTimeoutMs },
          onCall,
        );
  acceptor.maxConnections = limits.maxConnections;

  let cleartext: Http1Server | undefined;
  const serveHttp1 = takeOver(acceptor, tls === undefined ? "connection" : "secureConnection");
  const serveHttp2 = (socket: Socket) => {
    socket.allowHalfOpen = false; // as HTTP/1.1 needs it; an HTTP/2 session would not notice that its client has gone
    http2.emit("connection", socket);
  };
  const serveKnown = (socket: Socket, serve: (socket: Socket) => void) => {
    rememberPeer(socket, socket);
    serve(socket);
  };
  const serveCleartext = (socket: Socket, serve: (socket: Socket) => void) =>
    sniffProtocol(socket, {
      ...sniffing,
      onProtocol: (protocol) => serveKnown(socket, protocol === "http2" ? serveHttp2 : serve),
    });

  if (tls === undefined) {
    acceptor.on("connection", (socket) => serveCleartext(socket, serveHttp1));
  } else {
    acceptor.on("tlsClientError", onError);
    acceptor.on("secureConnection", (socket: TLSSocket) =>
      serveKnown(socket, socket.alpnProtocol === "h2" ? serveHttp2 : serveHttp1),
    );
    if (tls.allowCleartext) {
      cleartext = createHttp1Server(http1Options, onCall);
      cleartext.emit("listening"); // starts Node's check for overdue headers
      const serveTls = takeOver(acceptor, "connection");
      const serveCleartextHttp1 = takeOver(cleartext, "connection");
      acceptor.on("connection", (socket) =>
        sniffProtocol(socket, {
          ...sniffing,
          onProtocol: (protocol) => {
            if (protocol === "tls") serveTls(socket);
            else serveKnown(socket, protocol === "http2" ? serveHttp2 : serveCleartextHttp1);
          },
        }),
      );
    }
  }
  acceptor.on("connection", (socket) => connections.addSocket(socket));
  acceptor.on("drop", () => onError(new Error(`a connection was refused: there are ${limits.maxConnections}`)));

  const bound = await listenOn(acceptor, address, tls !== undefined);
  acceptor.on("error", onError);

  const timer = new AbortController();
  let cut = 0;
  let draining: Promise<{ cut: number }> | undefined;
  const finish = async (): Promise<{ cut: number }> => {
    const closed = new Promise<void>((resolve) => acceptor.close(() => resolve()));
    cleartext?.close();
    connections.finish();
    await connections.empty();
    timer.abort("everything has ended");
    await closed;
    http2.close();
    return { cut };
  };
  const listener: Listener = {
    endpoint: endpointOf(bound),
    address: bound,
    get inFlight() {
      return connections.calls;
    },
    get connections() {
      return connections.size;
    },
    drain(graceMs) {
      if (!(graceMs >= 0)) throw new RangeError(`graceMs must be a number from 0, got ${graceMs}`);
      draining ??= finish();
      const destroy = () => {
        cut += connections.calls;
        connections.destroy();
      };
      if (graceMs === 0) destroy();
      else clock.sleep(graceMs, timer.signal).then(destroy, () => {});
      return draining;
    },
    async close() {
      await listener.drain(0);
    },
    [Symbol.asyncDispose]: () => listener.close(),
  };
  return listener;
}

const alpn = { ALPNProtocols: ["h2", "http/1.1"] };

function withoutCleartext({ allowCleartext: _, ...tls }: ServerTlsOptions): Omit<ServerTlsOptions, "allowCleartext"> {
  return tls;
}

/** Removes what a server of Node does with a connection from its event, and returns it. */
function takeOver(server: Http1Server, event: "connection" | "secureConnection"): (socket: Socket) => void {
  const listeners = server.listeners(event);
  server.removeAllListeners(event);
  return (socket) => {
    for (const listener of listeners) listener.call(server, socket);
  };
}

function socketOf(session: ServerHttp2Session): Socket {
  return session.socket;
}
