import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import { BadChoice } from "../rule/bad-choice.ts";

export type AnyRequest = http.IncomingMessage | http2.Http2ServerRequest;
export type AnyResponse = http.ServerResponse | http2.Http2ServerResponse;

export interface DualListener {
  readonly port: number;
  /** Ends its connections too, at once. Idempotent. */
  close(): Promise<void>;
}

export interface DualListenerOptions {
  /** Default 127.0.0.1. */
  readonly host?: string | undefined;
  /** Default: any free port. */
  readonly port?: number | undefined;
  handle(request: AnyRequest, response: AnyResponse): void;
}

/** The first bytes of HTTP/2 without TLS, RFC 9113, section 3.4: "PRI". */
const firstOfHttp2 = "P".charCodeAt(0);
const secondOfHttp2 = "R".charCodeAt(0);

/** Serves HTTP/1.1 and HTTP/2 with prior knowledge on one port. @throws {BadChoice} when it cannot listen. */
export async function listenDual(options: DualListenerOptions): Promise<DualListener> {
  const { host = "127.0.0.1", port = 0, handle } = options;
  const one = http.createServer(handle);
  const two = http2.createServer(handle);
  const sockets = new Set<net.Socket>();
  two.on("sessionError", () => {});

  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
    socket.once("readable", () => {
      const bytes: Buffer | null = socket.read();
      if (bytes === null) return; // it is closed
      socket.unshift(bytes);
      const isHttp2 = bytes[0] === firstOfHttp2 && (bytes[1] ?? secondOfHttp2) === secondOfHttp2;
      (isHttp2 ? two : one).emit("connection", socket);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", ({ code, message }: NodeJS.ErrnoException) => {
      const flag = code === "EADDRINUSE" || code === "EACCES" ? "join-port" : "listen-host";
      reject(new BadChoice(flag, `cannot be listened on: ${message}`));
    });
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

/** The two kinds of response have the same method, but no common type of it. */
export function writeTo(response: AnyResponse, bytes: Buffer | string): void {
  if (response instanceof http.ServerResponse) response.write(bytes);
  else response.write(bytes);
}
