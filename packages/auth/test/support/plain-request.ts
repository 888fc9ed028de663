import { once } from "node:events";
import { request as requestHttp1 } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { text } from "node:stream/consumers";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import type { HttpVersion } from "./who-servers.ts";

export interface PlainAnswer {
  readonly status: number | undefined;
  readonly body: string;
  /** Whether TLS went on with an earlier session. */
  readonly reused: boolean;
  /** To go on with. */
  readonly session: Buffer;
}

export interface PlainRequest extends ConnectionOptions {
  readonly port: number;
  readonly path?: string;
  readonly httpVersion: HttpVersion;
}

/** One GET over a connection of its own. Rejects when TLS lets nobody in. */
export async function plainRequest({ path = "/", httpVersion, ...options }: PlainRequest): Promise<PlainAnswer> {
  const alpn = httpVersion === "2" ? "h2" : "http/1.1";
  const socket = connect({ host: "127.0.0.1", servername: "localhost", ...options, ALPNProtocols: [alpn] });
  const lost = once(socket, "close").then(() => Promise.reject(new Error("the connection was lost")));
  const failed = new Promise<never>((_, reject) => socket.on("error", reject));
  const session = once(socket, "session").then(([ticket]: unknown[]) => ticket as Buffer);
  for (const promise of [lost, failed, session]) promise.catch(() => {});
  try {
    return await Promise.race([answerOf(socket, path, httpVersion, session), lost, failed]);
  } finally {
    socket.destroy();
  }
}

async function answerOf(
  socket: TLSSocket,
  path: string,
  httpVersion: HttpVersion,
  session: Promise<Buffer>,
): Promise<PlainAnswer> {
  await once(socket, "secureConnect");
  const { status, body } = httpVersion === "2" ? await askHttp2(socket, path) : await askHttp1(socket, path);
  return {
    status,
    body,
    reused: socket.isSessionReused(),
    session: socket.isSessionReused() ? Buffer.alloc(0) : await session,
  };
}

async function askHttp1(socket: TLSSocket, path: string) {
  const request = requestHttp1({ path, host: "localhost", createConnection: () => socket }).end();
  const [response] = await once(request, "response");
  return { status: response.statusCode as number, body: await text(response) };
}

async function askHttp2(socket: TLSSocket, path: string) {
  const session: ClientHttp2Session = connectHttp2("https://localhost", { createConnection: () => socket });
  session.on("error", () => {}); // the socket's own says it
  const stream = session.request({ ":path": path });
  const [headers] = await once(stream, "response");
  return { status: Number(headers[":status"]), body: await text(stream) };
}
