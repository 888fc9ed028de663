import { once } from "node:events";
import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from "node:http2";
import { connect as connectSocket } from "node:net";

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface RawRequest {
  readonly method?: string | undefined;
  /** As it is to stand on the wire. */
  readonly target: string;
  /** Names and values; a name may come more than once. */
  readonly headers?: readonly (readonly [string, string])[] | undefined;
  readonly body?: string | undefined;
}

/** A request of HTTP/1.1, written byte by byte: no client corrects it. */
export async function requestHttp1(port: number, request: RawRequest): Promise<RawAnswer> {
  const { method = "POST", target, headers = [], body = "" } = request;
  const socket = connectSocket(port, "127.0.0.1");
  const lines = [`${method} ${target} HTTP/1.1`, "host: localhost", "connection: close"];
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  if (method !== "GET") lines.push(`content-length: ${Buffer.byteLength(body)}`);
  socket.write(Buffer.from(`${lines.join("\r\n")}\r\n\r\n${body}`, "latin1"));
  const bytes = Buffer.concat(await socket.toArray());
  const end = bytes.indexOf("\r\n\r\n");
  const [statusLine = "", ...fields] = bytes.subarray(0, end).toString("latin1").split("\r\n");
  const answer = Object.fromEntries(fields.map((field) => splitAt(field, field.indexOf(":"))));
  const payload = bytes.subarray(end + 4);
  const isChunked = answer["transfer-encoding"] === "chunked";
  return {
    status: Number(statusLine.split(" ")[1]),
    headers: answer,
    body: isChunked ? dechunk(payload) : payload,
  };
}

/** A request of HTTP/2 with any path. Its trailers are among the headers. */
export async function requestHttp2(session: ClientHttp2Session, request: RawRequest): Promise<RawAnswer> {
  const { method = "POST", target, headers = [], body = "" } = request;
  const fields: OutgoingHttpHeaders = { ":method": method, ":path": target };
  for (const [name, value] of headers) {
    const before = fields[name];
    fields[name] = before === undefined ? value : [before, value].flat().map(String);
  }
  const stream = session.request(fields, { endStream: method === "GET" });
  if (method !== "GET") stream.end(body);
  const trailers: Record<string, string> = {};
  stream.on("trailers", (received) => {
    for (const [name, value] of Object.entries(received)) trailers[name] = String(value);
  });
  const [response] = await once(stream, "response");
  const chunks: Buffer[] = await stream.toArray();
  const answer = Object.entries(response as OutgoingHttpHeaders).map(([name, value]) => [name, String(value)]);
  return {
    status: Number(response[":status"]),
    headers: { ...Object.fromEntries(answer), ...trailers },
    body: Buffer.concat(chunks),
  };
}

/** A session that goes when the test does. */
export function openSession(endpoint: string): ClientHttp2Session & Disposable {
  const session = connect(endpoint);
  session.on("error", () => {}); // tests look at the streams
  return Object.assign(session, { [Symbol.dispose]: () => session.destroy() });
}

function splitAt(field: string, index: number): [string, string] {
  return [field.slice(0, index).toLowerCase(), field.slice(index + 1).trim()];
}

function dechunk(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  let rest = bytes;
  for (;;) {
    const line = rest.indexOf("\r\n");
    const size = Number.parseInt(rest.subarray(0, line).toString("latin1"), 16);
    if (!(size > 0)) return Buffer.concat(parts);
    parts.push(rest.subarray(line + 2, line + 2 + size));
    rest = rest.subarray(line + 2 + size + 2);
  }
}
