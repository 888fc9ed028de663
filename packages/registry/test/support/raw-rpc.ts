import { request } from "node:http";
import { connect } from "node:http2";

/** How a raw call speaks. All carry JSON. */
export type Wire = "connect over HTTP/1.1" | "connect over HTTP/2" | "gRPC" | "gRPC-Web";

export const WIRES: readonly Wire[] = ["connect over HTTP/1.1", "connect over HTTP/2", "gRPC", "gRPC-Web"];

export interface RawCall {
  /** "/package.Service/Method". */
  readonly path: string;
  readonly kind: "unary" | "stream";
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface RawAnswer {
  readonly httpStatus: number;
  /** As Connect names it; "ok" of a success. */
  readonly code: string;
  readonly message: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly results: readonly unknown[];
}

interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly trailers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

/** Names of gRPC's status codes by their number, https://grpc.io/docs/guides/status-codes/. */
const codes = [
  "ok",
  "canceled",
  "unknown",
  "invalid_argument",
  "deadline_exceeded",
  "not_found",
  "already_exists",
  "permission_denied",
  "resource_exhausted",
  "failed_precondition",
  "aborted",
  "out_of_range",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
  "unauthenticated",
];

/** One RPC, written to the wire by hand and read from it by hand. */
export async function rawRpc(endpoint: string, wire: Wire, call: RawCall): Promise<RawAnswer> {
  const isConnect = wire.startsWith("connect");
  const isPlain = isConnect && call.kind === "unary";
  const type = isPlain ? "application/json" : `application/${prefixOf(wire)}+json`;
  const body = isPlain ? Buffer.from(call.body) : envelope(call.body);
  const headers = { ...call.headers, "content-type": type, ...(wire === "gRPC" && { te: "trailers" }) };
  const http2 = wire === "gRPC" || wire === "connect over HTTP/2";
  const answer = await (http2 ? overHttp2 : overHttp1)(endpoint, call.path, headers, body);
  return isPlain ? readPlain(answer) : readEnveloped(answer, isConnect);
}

function prefixOf(wire: Wire): string {
  if (wire === "gRPC") return "grpc";
  return wire === "gRPC-Web" ? "grpc-web" : "connect";
}

function envelope(text: string): Buffer {
  const data = Buffer.from(text);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(data.length, 1);
  return Buffer.concat([head, data]);
}

function readPlain({ status, headers, body }: HttpAnswer): RawAnswer {
  const json = JSON.parse(body.toString()) as { code?: string; message?: string };
  const { code = "ok", message = "" } = status === 200 ? {} : json;
  return { httpStatus: status, code, message, headers, results: status === 200 ? [json] : [] };
}

function readEnveloped({ status, headers, trailers, body }: HttpAnswer, isConnect: boolean): RawAnswer {
  const results: unknown[] = [];
  let end = { ...headers, ...trailers };
  let code: string | undefined;
  let message = "";
  for (let at = 0; at + 5 <= body.length; ) {
    const flags = body.readUInt8(at);
    const text = body.subarray(at + 5, at + 5 + body.readUInt32BE(at + 1)).toString();
    at += 5 + Buffer.byteLength(text);
    if (flags === 0) results.push(JSON.parse(text));
    else if (isConnect) {
      const { error } = JSON.parse(text) as { error?: { code: string; message?: string } };
      code = error?.code ?? "ok";
      message = error?.message ?? "";
    } else {
      const lines = text.split("\r\n").filter((line) => line !== "");
      end = { ...end, ...Object.fromEntries(lines.map((line) => line.split(/: ?(.*)/).slice(0, 2))) };
    }
  }
  if (!isConnect) {
    code = codes[Number(end["grpc-status"])];
    message = decodeURIComponent(String(end["grpc-message"] ?? ""));
  }
  return { httpStatus: status, code: code ?? "none", message, headers: end, results };
}

function overHttp1(
  endpoint: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: Buffer,
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request(new URL(path, endpoint), { method: "POST", agent: false, headers }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("error", reject);
      response.on("end", () => {
        const { statusCode: status = 0, headers, trailers } = response;
        resolve({ status, headers, trailers, body: Buffer.concat(parts) });
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

function overHttp2(
  endpoint: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: Buffer,
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const session = connect(endpoint);
    session.on("error", reject);
    const stream = session.request({ ":method": "POST", ":path": path, ...headers });
    const parts: Buffer[] = [];
    let received: Record<string, unknown> = {};
    let trailers: Record<string, unknown> = {};
    stream.on("response", (head) => {
      received = { ...head };
    });
    stream.on("trailers", (tail) => {
      trailers = { ...tail };
    });
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.on("error", reject);
    stream.on("close", () => {
      session.close();
      resolve({ status: Number(received[":status"]), headers: received, trailers, body: Buffer.concat(parts) });
    });
    stream.end(body);
  });
}
