import { once } from "node:events";
import { createServer as createHttpServer, type ServerResponse } from "node:http";
import {
  createServer as createHttp2Server,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { connect, createServer, type Server, type Socket } from "node:net";
import { type Endpoint, parseEndpoint } from "../../src/wire/endpoint.ts";
import { createEventLog, type EventLog } from "./event-log.ts";

/** A server on loopback that does one thing wrong. */
export interface MisbehavingServer extends AsyncDisposable {
  readonly endpoint: Endpoint;
  /** Its connections. */
  readonly accepted: EventLog<Socket>;
}

/** `onConnection` is all it does with a connection. */
export function serveRaw(
  onConnection: (socket: Socket) => void = () => {},
  scheme = "http",
): Promise<MisbehavingServer> {
  return listen(createServer(onConnection), scheme);
}

/** A port on which nobody listens. */
export async function refuse(): Promise<MisbehavingServer> {
  const server = await serveRaw();
  await server[Symbol.asyncDispose]();
  return server;
}

/** HTTP/1.1 or HTTP/2 that reads requests and leaves the answer to `onRequest`. PINGs are answered. */
export function serveHttp(
  version: "1.1" | "2",
  onRequest: {
    http1?(response: ServerResponse): void;
    http2?(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void;
  } = {},
): Promise<MisbehavingServer> {
  if (version === "1.1") {
    return listen(
      createHttpServer((request, response) => {
        request.resume();
        onRequest.http1?.(response);
      }),
    );
  }
  const server = createHttp2Server();
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    stream.resume();
    onRequest.http2?.(stream, headers);
  });
  return listen(server);
}

/** HTTP/2 with something done to every session when it begins. */
export function serveSessions(onSession: (session: ServerHttp2Session) => void): Promise<MisbehavingServer> {
  const server = createHttp2Server();
  server.on("session", onSession);
  return listen(server);
}

export interface FreezableProxy extends MisbehavingServer {
  /** From now on passes nothing on, and says nothing about it; new connections are accepted. */
  freeze(): void;
}

/** Passes bytes on to a server, until it is told not to: a peer that hangs, or a network that swallows packets. */
export async function proxyTo(target: string): Promise<FreezableProxy> {
  let frozen = false;
  const pairs = new Set<readonly [Socket, Socket]>();
  const { hostname, port } = new URL(target);
  const server = await serveRaw((client) => {
    if (frozen) return;
    const upstream = connect(Number(port), hostname);
    upstream.on("error", () => client.destroy());
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => frozen || client.destroy());
    client.pipe(upstream);
    upstream.pipe(client);
    pairs.add([client, upstream]);
  });
  return {
    ...server,
    freeze() {
      frozen = true;
      for (const [client, upstream] of pairs) {
        client.unpipe().pause();
        upstream.unpipe().pause();
      }
    },
  };
}

async function listen(server: Server | Http2Server, scheme = "http"): Promise<MisbehavingServer> {
  const accepted = createEventLog<Socket>();
  server.on("connection", (socket: Socket) => {
    socket.on("error", () => {});
    accepted.add(socket);
  });
  server.on("session", (session) => session.on("error", () => {}));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = address !== null && typeof address === "object" ? address.port : 0;
  return {
    endpoint: parseEndpoint(`${scheme}://127.0.0.1:${port}`),
    accepted,
    async [Symbol.asyncDispose]() {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      for (const socket of accepted.all) socket.destroy();
      await closed;
    },
  };
}
