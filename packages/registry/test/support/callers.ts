import { type EventEmitter, once } from "node:events";
import { Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import { type ClientHttp2Stream, connect, type OutgoingHttpHeaders } from "node:http2";

/** What came back. */
export interface Answer {
  readonly status: number;
  /** Names, in lower case, and values in turn. */
  readonly headers: readonly string[];
  readonly body: Buffer;
  readonly trailers: readonly string[];
  /** Interim answers. */
  readonly informed: readonly number[];
}

export interface Call {
  readonly method?: string;
  readonly path: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Buffer | string;
  readonly trailers?: Record<string, string>;
}

/** Calls a host, in one version of HTTP. */
export interface Caller extends AsyncDisposable {
  call(call: Call): Promise<Answer>;
}

export async function openCaller(port: number, http: "1.1" | "2"): Promise<Caller> {
  return http === "2" ? openHttp2Caller(port) : openHttp1Caller(port);
}

/** The value of a header that is there once. */
export function oneValueOf(list: readonly string[], name: string): string | undefined {
  return allValuesOf(list, name)[0];
}

export function allValuesOf(list: readonly string[], name: string): string[] {
  return list.filter((_, index) => index % 2 === 1 && list[index - 1]?.toLowerCase() === name);
}

const statuses = new WeakMap<ClientHttp2Stream, Promise<number>>();

/** The status of the answer to a call of `openHttp2Session`, even if it came before. */
export async function statusOf(stream: ClientHttp2Stream): Promise<number | undefined> {
  return statuses.get(stream);
}

/** Resolves when a stream or socket has closed; `once` would fail with it. */
export function closing(emitter: EventEmitter): Promise<void> {
  return new Promise((resolve) => emitter.once("close", () => resolve()));
}

export async function openHttp2Session(port: number) {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {}); // calls tell
  await once(session, "connect");
  return {
    session,
    open: (headers: OutgoingHttpHeaders, options = {}): ClientHttp2Stream => {
      const stream = session.request({ ":method": "POST", ...headers }, { endStream: false, ...options });
      stream.on("error", () => {}); // "close" tells
      const status = new Promise<number>((resolve) => {
        stream.once("response", (response) => resolve(Number(response[":status"])));
      });
      statuses.set(stream, status);
      return stream;
    },
    async [Symbol.asyncDispose]() {
      const closed = session.closed && session.destroyed ? undefined : once(session, "close");
      session.destroy();
      await closed;
    },
  };
}

async function openHttp2Caller(port: number): Promise<Caller> {
  const caller = await openHttp2Session(port);
  return {
    async call({ method = "POST", path, headers = {}, body, trailers }) {
      const head = { ...headers, ":method": method, ":path": path };
      const waitForTrailers = trailers !== undefined;
      const stream = caller.open(head, { endStream: body === undefined && !waitForTrailers, waitForTrailers });
      const informed: number[] = [];
      let last: string[] = [];
      stream.on("headers", (interim) => informed.push(Number(interim[":status"])));
      stream.on("trailers", (_headers, _flags, raw: string[]) => {
        last = raw;
      });
      stream.on("wantTrailers", () => stream.sendTrailers(trailers ?? {}));
      if (body !== undefined) stream.end(body);
      else if (waitForTrailers) stream.end();
      const [response, , raw] = await once(stream, "response");
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk);
      if (stream.rstCode !== 0) throw new Error(`reset with ${stream.rstCode}`);
      const received = raw as string[];
      return {
        status: Number(response[":status"]),
        headers: received.slice(2),
        body: Buffer.concat(chunks),
        trailers: last,
        informed,
      };
    },
    [Symbol.asyncDispose]: () => caller[Symbol.asyncDispose](),
  };
}

export function lowerNames(raw: readonly string[]): string[] {
  return raw.map((text, index) => (index % 2 === 0 ? text.toLowerCase() : text));
}

function openHttp1Caller(port: number): Caller {
  const agent = new Agent({ keepAlive: true });
  return {
    async call({ method = "POST", path, headers = {}, body, trailers }) {
      // Of some methods Node does not expect that they have a body.
      const length = body === undefined || trailers !== undefined ? {} : { "content-length": Buffer.byteLength(body) };
      const call = request({ host: "127.0.0.1", port, agent, method, path, headers: { ...length, ...headers } });
      const informed: number[] = [];
      call.on("information", ({ statusCode }) => informed.push(statusCode));
      if (trailers !== undefined) call.addTrailers(trailers);
      const answered = answerOf(call);
      call.end(body);
      const response = await answered;
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk);
      return {
        status: response.statusCode ?? 0,
        headers: lowerNames(response.rawHeaders),
        body: Buffer.concat(chunks),
        trailers: lowerNames(response.rawTrailers),
        informed,
      };
    },
    async [Symbol.asyncDispose]() {
      agent.destroy();
    },
  };
}

export async function answerOf(call: ClientRequest): Promise<IncomingMessage> {
  const [response] = await once(call, "response");
  return response;
}
