import { createServer as createHttp1, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Http2Server, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { createServer as createHttp2, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { Socket } from "node:net";
import type { ListenerLimits } from "./listener-limits.ts";
import type { StreamHandler } from "./node-handler.ts";

export interface Http1Server {
  /** Listens; what it accepts goes to `onConnection`, and is HTTP/1 only if that says so. */
  readonly server: Server;
  /** Speaks HTTP/1 on a socket. */
  serve(socket: Socket): void;
}

/**
 * The server that listens. Node tracks the header time-out of HTTP/1 connections, given to it by `serve`, only on a server
 * that listens.
 */
export function createHttp1Server(
  limits: ListenerLimits,
  onConnection: (socket: Socket) => void,
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
): Http1Server {
  const server = createHttp1(
    {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headerTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      // Node looks for late headers at this interval.
      connectionsCheckingInterval: Math.min(1_000, limits.headerTimeoutMs),
      keepAliveTimeout: limits.idleTimeoutMs,
      // A peer whose machine is gone does not hold its connection, and streams, for ever.
      keepAlive: true,
      keepAliveInitialDelay: tcpKeepAliveMs,
    },
    onRequest,
  );
  // Headers are limited by their bytes; beyond a number of them, Node would drop the rest silently.
  server.maxHeadersCount = 0;
  server.maxConnections = limits.maxConnections;
  const serveHttp1 = server.listeners("connection");
  server.removeAllListeners("connection");
  server.on("connection", onConnection);
  return {
    server,
    serve(socket) {
      for (const listener of serveHttp1) Reflect.apply(listener, server, [socket]);
    },
  };
}

const tcpKeepAliveMs = 60_000;

export interface Http2ServerOnSockets {
  readonly server: Http2Server;
  /** Speaks HTTP/2 on a socket. */
  serve(socket: Socket): ServerHttp2Session | undefined;
}

/** A server that never listens: it is given sockets. `onStream` is asked first, and says whether it takes a request. */
export function createHttp2Server(
  limits: ListenerLimits,
  onRequest: (request: Http2ServerRequest, response: Http2ServerResponse) => void,
  onStream: StreamHandler | undefined,
): Http2ServerOnSockets {
  const server = createHttp2(
    {
      settings: { maxConcurrentStreams: limits.maxConcurrentStreams, maxHeaderListSize: limits.maxHeaderBytes },
      // In MB. Node refuses new streams beyond it; its 10 is too little for many streams with full windows.
      maxSessionMemory: Math.max(10, Math.ceil((limits.maxConcurrentStreams * bytesPerStream) / 2 ** 20)),
      // Headers are limited by their bytes, of which each takes at least 32.
      maxHeaderListPairs: Math.ceil(limits.maxHeaderBytes / 32),
      ...streamResets,
    },
    (request, response) => {
      // Node, which ends such a stream itself, does so only once the client has acknowledged the limit.
      if (headerListBytes(request.rawHeaders) > limits.maxHeaderBytes) response.writeHead(431).end();
      else onRequest(request, response);
    },
  );
  if (onStream !== undefined) askFirst(server, limits, onStream);
  return {
    server,
    serve(socket) {
      let session: ServerHttp2Session | undefined;
      const onSession = (begun: ServerHttp2Session) => {
        session = begun;
      };
      server.once("session", onSession);
      server.emit("connection", socket);
      server.off("session", onSession);
      return session;
    },
  };
}

/** Node makes its request and response objects in a listener of its own, at more than the cost of passing a request on. */
function askFirst(server: Http2Server, limits: ListenerLimits, onStream: StreamHandler): void {
  const makeRequest = server.listeners("stream");
  server.removeAllListeners("stream");
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, raw: string[]) => {
    if (headerListBytes(raw) <= limits.maxHeaderBytes && onStream(stream, headers, raw)) return;
    for (const listener of makeRequest) Reflect.apply(listener, server, [stream, headers, flags, raw]);
  });
}

/** As HTTP/2 counts them, https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2 */
function headerListBytes(namesAndValues: readonly string[]): number {
  let bytes = namesAndValues.length * 16;
  for (const text of namesAndValues) bytes += text.length;
  return bytes;
}

/** A receive window of 64 KiB, and as much that waits to be sent. */
const bytesPerStream = 128 * 1024;
/**
 * Calls that a peer may cancel: so many at once, and then so many a second, before its connection ends. Node's 33 a
 * second is little for a host that passes on the cancellations of many callers; the handler of a cancelled call is
 * cheap next to one that runs (CVE-2023-44487).
 */
const streamResets = { streamResetBurst: 2_000, streamResetRate: 200 };
