import http from "node:http";
import http2 from "node:http2";
import { type AnyRequest, type AnyResponse, listenDual } from "../../src/kit/wire/dual-listener.ts";
import { frame } from "../../src/kit/wire/envelope.ts";
import { plainHeaders } from "../../src/kit/wire/http-exchange.ts";

/** A request on its way to the good server. */
export interface Passing {
  readonly http: "1.1" | "2";
  method: string;
  path: string;
  headers: Record<string, string>;
}

/** Fields of JSON, as a mutation sees them. */
// biome-ignore lint/suspicious/noExplicitAny: mutations reach into whatever JSON there is.
export type Json = any;

/** What a Connect call with JSON was answered. */
export interface JsonAnswer {
  status: number;
  body: Json;
}

/** Beside what a call says. */
export interface Asked {
  readonly headers: Record<string, string>;
  /** URL of the broken server. */
  readonly url: string;
}

/** What is wrong with a server: what it does otherwise than the good one behind it. */
export interface Breakage {
  /** Changes requests before they are passed on, bytes and streams as they are. */
  readonly pass?: (request: Passing) => void;
  /** Answers in place of the good server. True: it has. */
  readonly answer?: (request: Passing, response: AnyResponse) => boolean;
  /** Changes the answer of a unary Connect call with JSON over HTTP/1.1; the name of the RPC comes first. */
  readonly json?: (rpc: string, request: Json, answer: JsonAnswer, asked: Asked) => unknown;
  /** Answers a server stream of Connect with JSON in place of the good server. True: it has. */
  readonly stream?: (rpc: string, request: Json, response: AnyResponse) => boolean;
  /** Changes the bytes of answers whose path it is true for. */
  readonly bytes?: { readonly of: (path: string) => boolean; readonly change: (bytes: string) => string };
}

export interface BrokenServer extends AsyncDisposable {
  readonly url: string;
}

/** Of a frame, before its message. */
const envelopeBytes = 5;

/** A proxy in front of a good server, which breaks one thing. */
export async function startBrokenServer(goodUrl: string, breakage: Breakage): Promise<BrokenServer> {
  const { hostname, port } = new URL(goodUrl);
  const sessions = new Set<http2.ClientHttp2Session>();
  let session: http2.ClientHttp2Session | undefined;
  const agent = new http.Agent({ keepAlive: true });

  const open = (passing: Passing, { request, response, body }: Exchange, onAnswer: OnAnswer): void => {
    const { method, path, headers } = passing;
    if (passing.http === "1.1") {
      const sent = http.request({ hostname, port, agent, method, path, headers }, (answer) =>
        onAnswer(answer.statusCode ?? 0, plainHeaders(answer.headers), answer, () => plainHeaders(answer.trailers)),
      );
      sent.on("error", () => response.destroy());
      response.once("close", () => sent.destroy());
      if (body === undefined) {
        sent.flushHeaders();
        request.pipe(sent);
      } else sent.end(body);
      return;
    }
    if (session === undefined || session.closed) {
      session = http2.connect(goodUrl);
      session.on("error", () => {});
      sessions.add(session);
    }
    const stream = session.request({ ...headers, ":method": method, ":path": path });
    let trailers: Record<string, string> = {};
    stream.on("error", () => response.destroy());
    stream.once("trailers", (fields) => {
      trailers = plainHeaders(fields);
    });
    stream.once("response", (answer) => onAnswer(answer[":status"] ?? 0, plainHeaders(answer), stream, () => trailers));
    response.once("close", () => stream.close());
    request.pipe(stream);
  };

  const passOn = (passing: Passing, request: AnyRequest, response: AnyResponse, body?: Buffer): void =>
    open(passing, { request, response, body }, (status, headers, answer, trailersOf) => {
      const change = breakage.bytes?.of(passing.path) === true ? breakage.bytes.change : undefined;
      response.statusCode = status;
      for (const [name, value] of Object.entries(withoutHop(headers))) {
        if (change === undefined || name !== "content-length") response.setHeader(name, value);
      }
      if ("flushHeaders" in response) response.flushHeaders();
      answer.on("data", (chunk: Buffer) => {
        const bytes = change === undefined ? chunk : Buffer.from(change(chunk.toString("latin1")), "latin1");
        (response as http.ServerResponse).write(bytes);
      });
      answer.on("error", () => response.destroy());
      answer.once("end", () => {
        response.addTrailers(trailersOf());
        response.end();
      });
    });

  const changeJson = async (passing: Passing, request: AnyRequest, response: AnyResponse): Promise<void> => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    const asked: Json = parse(body) ?? {};
    const { "content-length": _, ...headers } = passing.headers;
    const got = await fetch(`${goodUrl}${passing.path}`, { method: "POST", headers: withoutHop(headers), body });
    const answer: JsonAnswer = { status: got.status, body: parse(Buffer.from(await got.arrayBuffer())) ?? {} };
    await breakage.json?.(rpcOf(passing.path), asked, answer, { headers: passing.headers, url });
    sendJson(response, answer.status, answer.body);
  };

  const answerStream = async (passing: Passing, request: AnyRequest, response: AnyResponse): Promise<void> => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    const asked: Json = parse(body.subarray(envelopeBytes)) ?? {};
    if (breakage.stream?.(rpcOf(passing.path), asked, response) !== true) passOn(passing, request, response, body);
  };

  let url = "";
  const listener = await listenDual({
    handle(request, response) {
      request.on("error", () => {});
      response.on("error", () => {});
      const passing: Passing = {
        http: request.httpVersionMajor === 2 ? "2" : "1.1",
        method: request.method ?? "",
        path: request.url ?? "",
        headers: withoutHop(plainHeaders(request.headers)),
      };
      if (breakage.answer?.(passing, response) === true) {
        request.resume();
        return;
      }
      breakage.pass?.(passing);
      const isJson = passing.headers["content-type"] === "application/json" && passing.http === "1.1";
      if (breakage.json !== undefined && isJson && !/^\/(services|capabilities)\//.test(passing.path)) {
        changeJson(passing, request, response).catch(() => response.destroy());
      } else if (breakage.stream !== undefined && passing.headers["content-type"] === "application/connect+json") {
        answerStream(passing, request, response).catch(() => response.destroy());
      } else passOn(passing, request, response);
    },
  });
  url = `http://127.0.0.1:${listener.port}`;
  return {
    url,
    async [Symbol.asyncDispose]() {
      for (const one of sessions) one.destroy();
      agent.destroy();
      await listener.close();
    },
  };
}

interface Exchange {
  readonly request: AnyRequest;
  readonly response: AnyResponse;
  /** Default: as the request brings it. */
  readonly body: Buffer | undefined;
}

type OnAnswer = (
  status: number,
  headers: Record<string, string>,
  answer: NodeJS.ReadableStream,
  trailers: () => Record<string, string>,
) => void;

export function sendJson(response: AnyResponse, status: number, body: Json): void {
  response.statusCode = status;
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(body));
}

/** The answer of a stream of Connect with JSON: messages; then the end, unless it is to stay open. */
export function sendStream(response: AnyResponse, messages: readonly Json[], end?: Json): void {
  response.statusCode = 200;
  response.setHeader("content-type", "application/connect+json");
  const frames = messages.map((message) => frame(Buffer.from(JSON.stringify(message))));
  if (end !== undefined) frames.push(frame(Buffer.from(JSON.stringify(end)), 0x02));
  (response as http.ServerResponse).write(Buffer.concat(frames));
  if (end !== undefined) response.end();
}

function rpcOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function parse(bytes: Buffer): Json {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}

function withoutHop(headers: Record<string, string>): Record<string, string> {
  const kept = { ...headers };
  for (const name of ["host", "connection", "keep-alive", "transfer-encoding"]) delete kept[name];
  return kept;
}
