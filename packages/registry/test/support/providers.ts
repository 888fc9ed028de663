import { once } from "node:events";
import { createServer as createHttp1, type IncomingMessage, type ServerOptions, type ServerResponse } from "node:http";
import {
  createServer as createHttp2,
  type Http2Server,
  type ServerOptions as Http2ServerOptions,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo, ListenOptions, Server, Socket } from "node:net";
import type { HttpUpstream, UnixUpstream, UpstreamHttp } from "../../src/router/upstream.ts";

/** A provider on a port of this machine, or a socket. */
export function upstreamAt(at: number | string, http: UpstreamHttp): HttpUpstream | UnixUpstream {
  if (typeof at === "string") return { kind: "unix", path: at, authority: "provider.test", basePath: "", http };
  return {
    kind: "http",
    secure: false,
    address: "127.0.0.1",
    port: at,
    authority: `provider.test:${at}`,
    servername: undefined,
    basePath: "",
    http,
  };
}

export async function listenAt(server: Server | Http2Server, at: ListenOptions = { host: "127.0.0.1", port: 0 }) {
  server.listen(at);
  await once(server, "listening");
  const address: AddressInfo | string | null = server.address();
  return typeof address === "string" ? address : (address as AddressInfo).port;
}

/** Sockets of a server, to be cut, and counted. */
export function socketsOf(server: Server | Http2Server, event = "connection") {
  const open = new Set<Socket>();
  let count = 0;
  server.on(event, (socket: Socket) => {
    count++;
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    socket.on("error", () => {});
  });
  return {
    open,
    /** That ever were. */
    get count() {
      return count;
    },
    async close(): Promise<void> {
      const ended = [...open].map((socket) => once(socket, "close"));
      for (const socket of open) socket.destroy();
      await Promise.all(ended);
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

export type StreamListener = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
) => void | Promise<void>;

/** A provider of bare HTTP/2. */
export async function startHttp2Provider(
  listener: StreamListener,
  { at, ...options }: Http2ServerOptions & { readonly at?: ListenOptions } = {},
) {
  const server = createHttp2(options);
  const sockets = socketsOf(server);
  const sessions: ServerHttp2Session[] = [];
  server.on("session", (session) => sessions.push(session));
  const failures: unknown[] = [];
  server.on("stream", (stream, headers, _flags, raw: string[]) => {
    stream.on("error", () => {}); // what the router resets
    Promise.resolve(listener(stream, headers, raw)).catch((reason) => failures.push(reason));
  });
  const where = await listenAt(server, at);
  return {
    upstream: upstreamAt(where, "2"),
    auto: upstreamAt(where, "auto"),
    sockets,
    sessions,
    /** What the listener's promises rejected with: as a rule its stream was reset. */
    failures,
    [Symbol.asyncDispose]: () => sockets.close(),
  };
}

/** A provider of HTTP/1.1. */
export async function startHttp1Provider(
  listener: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>,
  { at, ...options }: ServerOptions & { readonly at?: ListenOptions } = {},
) {
  const failures: unknown[] = [];
  const server = createHttp1(options, (request: IncomingMessage, response: ServerResponse) => {
    request.on("error", () => {}); // what the router cuts
    Promise.resolve(listener(request, response)).catch((reason) => failures.push(reason));
  });
  const sockets = socketsOf(server);
  const where = await listenAt(server, at);
  return {
    upstream: upstreamAt(where, "1.1"),
    auto: upstreamAt(where, "auto"),
    sockets,
    /** What the listener's promises rejected with: as a rule its connection was cut. */
    failures,
    [Symbol.asyncDispose]: () => sockets.close(),
  };
}
