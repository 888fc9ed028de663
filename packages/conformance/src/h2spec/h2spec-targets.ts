import { once } from "node:events";
import { createServer as createHttp1Server, type IncomingMessage, type ServerResponse } from "node:http";
import {
  createServer as createHttp2Server,
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from "node:http2";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { type HttpRoute, serve } from "@cpg/core";
import type { SelfSigned } from "../self-signed.ts";

/** A server that h2spec looks at. */
export interface H2specTarget {
  readonly port: number;
  close(): Promise<void>;
}

/** Where h2spec sends its requests. Not answered before the request has ended, as by a service. */
export const targetPath = "/target";
/** Longer than the windows that h2spec grants. */
const answer = "answer ".repeat(8);
/** As many streams are opened at once, and one more. */
const maxConcurrentStreams = 100;

/** The listener of @cpg/core, as `serve` opens it. */
export async function openListenerTarget(tls: SelfSigned | undefined): Promise<H2specTarget> {
  const server = await serve({
    plugins: {},
    impls: {},
    // A server with an extension is a host, which needs no plugins.
    extensions: [{ name: "target", install: () => ({ httpRoutes: [targetRoute] }) }],
    listen: { port: 0 },
    tls,
    limits: { maxConcurrentStreams },
    link: false,
    handleSignals: false,
    environment: {},
  });
  return { port: Number(new URL(server.endpoint).port), close: () => server.close({ graceMs: 0 }) };
}

const targetRoute: HttpRoute = { path: targetPath, handle: answerAtEnd };

/**
 * Node's own servers and nothing of ours: as there, HTTP/1.1 and HTTP/2 on one port, told apart by what a connection
 * begins with or, with TLS, by ALPN.
 */
export async function openBareTarget(tls: SelfSigned | undefined): Promise<H2specTarget> {
  const settings = { maxConcurrentStreams };
  const sockets = new Set<Socket>();
  const secure = tls && createSecureServer({ ...tls, settings, allowHTTP1: true }, answerAtEnd);
  const http1 = createHttp1Server(answerAtEnd);
  const http2 = createHttp2Server({ settings }, answerAtEnd);
  const server =
    secure ??
    createTcpServer((socket) => {
      socket.on("error", () => {}); // h2spec leaves without a word
      socket.once("readable", () => {
        const first: Buffer | null = socket.read();
        if (first === null) return;
        socket.unshift(first);
        (first.toString("latin1", 0, 3) === "PRI" ? http2 : http1).emit("connection", socket);
      });
    });
  for (const http of [secure, http2]) http?.on("sessionError", () => {}); // these are what the cases provoke
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function answerAtEnd(
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
): void {
  request.resume().once("end", () => {
    response.setHeader("content-type", "text/plain");
    response.end(answer);
  });
}
