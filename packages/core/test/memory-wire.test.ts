import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type Interceptor, type ServiceImpl } from "@connectrpc/connect";
import { createMemoryServer, createPluginClient } from "@cpg/core";
import { peerKey } from "@cpg/resilience";
import { describe, expect, it } from "vitest";
import { createServiceClient } from "../src/client/service-client.ts";
import { collect } from "./support/collect.ts";
import { createEcho, EchoSchema, EchoService } from "./support/echo-service.ts";
import { echo, serveEcho } from "./support/started-server.ts";

type EchoImpl = ServiceImpl<typeof EchoService>;
type EchoClient = ReturnType<typeof createServiceClient<typeof EchoService>>;

const detail = { desc: EchoSchema, value: { text: "detail" } };
const refusal = () =>
  new ConnectError(
    "not today",
    Code.FailedPrecondition,
    { "x-why": "rain", "x-bin-bin": "AQI" },
    [detail],
    new Error("secret"),
  );
const setHeaders = (context: HandlerContext) => {
  context.responseHeader.set("x-from-server", context.requestHeader.get("x-from-client") ?? "none");
  context.responseHeader.append("x-twice", "1");
  context.responseHeader.append("x-twice", "2");
  context.responseTrailer.set("x-at-end", "done");
};

/** One implementation whose behaviour the text of the first message chooses. */
const moody: EchoImpl = {
  async unary(request, context) {
    setHeaders(context);
    return behave(request.text, context);
  },
  async *serverStream(request, context) {
    setHeaders(context);
    yield { text: "first" };
    yield await behave(request.text, context);
  },
  async clientStream(requests, context) {
    setHeaders(context);
    const [first] = await collect(requests);
    return behave(first?.text ?? "empty", context);
  },
  async *bidiStream(requests, context) {
    setHeaders(context);
    for await (const { text } of requests) yield await behave(text, context);
  },
};

async function behave(text: string, context: HandlerContext) {
  switch (text) {
    case "refuse":
      throw refusal();
    case "foreign":
      throw new Error("secret");
    case "abort error":
      throw new DOMException("stop", "AbortError");
    case "bad answer":
      return create(EchoSchema, { count: -1 });
    case "large answer":
      return { text: "x".repeat(5_000) };
    case "wait":
      return new Promise<never>((_, reject) => {
        context.signal.addEventListener("abort", () => reject(context.signal.reason), { once: true });
      });
    default:
      return { text: `${text}!`, count: 7 };
  }
}

const limits = { maxMessageBytes: 2_000 };

async function inMemory(impl: EchoImpl, interceptors: Interceptor[]) {
  const server = createMemoryServer({ routes: (router) => router.service(EchoService, impl), ...limits });
  return {
    client: createServiceClient(EchoService, server.connect({ interceptors, maxMessageBytes: 4_000 })),
    close: () => server.close(),
  };
}

async function overHttp2(impl: EchoImpl, interceptors: Interceptor[]) {
  const server = await serveEcho({ impls: { echo: impl }, ...limits });
  const plugin = createPluginClient<{ readonly echo: typeof echo }>({
    endpoint: server.endpoint,
    plugins: { echo },
    httpVersion: "2",
    maxMessageBytes: 4_000,
    interceptors,
  });
  return {
    client: await plugin.dispense("echo"),
    async close() {
      await plugin.close();
      await server.close({ graceMs: 0 });
    },
  };
}

/** Everything that a caller can see of one call. */
async function observe(call: (options: object) => Promise<unknown>) {
  const seen = { header: [] as unknown[], trailer: [] as unknown[] };
  const options = {
    headers: { "x-from-client": "hello" },
    onHeader: (headers: Headers) => seen.header.push(custom(headers)),
    onTrailer: (headers: Headers) => seen.trailer.push(custom(headers)),
  };
  const outcome = await call(options).then(
    (messages) => ({ messages }),
    (reason: unknown) => {
      const error = reason as ConnectError;
      return {
        isConnectError: reason instanceof ConnectError,
        code: error.code,
        metadata: custom(error.metadata),
        details: error.findDetails(EchoSchema),
        cause: error.cause,
      };
    },
  );
  return { ...seen, outcome };
}

const custom = (headers: Headers) => [...headers].filter(([name]) => name.startsWith("x-"));

async function* send(...texts: string[]) {
  for (const text of texts) yield { text };
}

const kinds: { kind: string; call(client: EchoClient, text: string, options: object): Promise<unknown> }[] = [
  { kind: "unary", call: (client, text, options) => client.unary({ text }, options) },
  { kind: "server stream", call: (client, text, options) => collect(client.serverStream({ text }, options)) },
  { kind: "client stream", call: (client, text, options) => client.clientStream(send(text, "more"), options) },
  { kind: "bidi stream", call: (client, text, options) => collect(client.bidiStream(send(text, "more"), options)) },
];
const texts = [
  "hello",
  "refuse",
  "foreign",
  "abort error",
  "bad answer",
  "large answer",
  "\ud800",
  "x".repeat(2_500),
  "x".repeat(5_000),
];
const table = kinds.flatMap((kind) =>
  texts.map((text) => ({ ...kind, text, shown: text.length > 20 ? `${text.length} letters` : text })),
);

describe("a call in memory looks to its caller like one over HTTP/2", () => {
  it.each(table)("$kind: $shown", async ({ call, text }) => {
    const near = await inMemory(moody, []);
    const far = await overHttp2(moody, []);
    try {
      const inMemoryOutcome = await observe((options) => call(near.client, text, options));
      expect(inMemoryOutcome).toEqual(await observe((options) => call(far.client, text, options)));
    } finally {
      await near.close();
      await far.close();
    }
  });

  it.each(kinds)("$kind: the deadline, and a caller that cancels", async ({ call }) => {
    const near = await inMemory(moody, []);
    const far = await overHttp2(moody, []);
    try {
      for (const { client } of [near, far]) {
        await expect(call(client, "wait", { timeoutMs: 20 })).rejects.toMatchObject({ code: Code.DeadlineExceeded });
        const caller = new AbortController();
        const canceled = call(client, "wait", { signal: caller.signal });
        caller.abort();
        await expect(canceled).rejects.toMatchObject({ code: Code.Canceled });
        const reason = new ConnectError("enough", Code.Aborted);
        await expect(call(client, "wait", { signal: AbortSignal.abort(reason) })).rejects.toMatchObject({
          code: Code.Aborted,
        });
      }
    } finally {
      await near.close();
      await far.close();
    }
  });

  it.each(kinds)("$kind: interceptors on the client see and change the same", async ({ call }) => {
    const log: unknown[][] = [[], []];
    const observer =
      (index: number): Interceptor =>
      (next) =>
      async (request) => {
        log[index]?.push([request.stream, request.method.name, request.service.typeName, request.requestMethod]);
        const response = await next({
          ...request,
          header: new Headers({ ...Object.fromEntries(request.header), "x-from-client": "changed" }),
        });
        log[index]?.push([response.stream, custom(response.header)]);
        return response;
      };
    const near = await inMemory(moody, [observer(0)]);
    const far = await overHttp2(moody, [observer(1)]);
    try {
      const inMemoryOutcome = await observe((options) => call(near.client, "hello", options));
      const http = await observe((options) => call(far.client, "hello", options));
      expect(inMemoryOutcome).toEqual(http);
      expect(log[0]).toEqual(log[1]?.slice(-2)); // the handshake comes first
    } finally {
      await near.close();
      await far.close();
    }
  });
});

describe("the server's side of a call in memory", () => {
  it("interceptors run around the handler, the gate before both, and the peer is memory", async () => {
    const log: unknown[] = [];
    const around =
      (name: string): Interceptor =>
      (next) =>
      async (request) => {
        log.push(`${name} in`, request.contextValues.get(peerKey)?.network);
        const response = await next(request);
        response.header.set("x-by", name);
        log.push(`${name} out`);
        return response;
      };
    const impl: EchoImpl = {
      ...createEcho(),
      unary(request, context) {
        log.push("handler", context.values.get(peerKey)?.network, context.requestHeader.get("content-type"));
        return request;
      },
    };
    await using server = createMemoryServer({
      routes: (router) =>
        router.service(EchoService, impl, {
          interceptors: [around("outer"), around("inner")],
          requestGate: () => void log.push("gate"),
        }),
    });
    const answer = await server
      .connect()
      .unary(EchoService.method.unary, undefined, undefined, undefined, { text: "a" });
    expect(answer.header.get("x-by")).toBe("outer");
    expect(log).toEqual([
      "gate",
      "outer in",
      "memory",
      "inner in",
      "memory",
      "handler",
      "memory",
      "application/proto",
      "inner out",
      "outer out",
    ]);
  });

  it("a service that is not served answers unimplemented", async () => {
    await using server = createMemoryServer({ routes: () => {} });
    const client = createServiceClient(EchoService, server.connect());
    await expect(client.unary({})).rejects.toMatchObject({ code: Code.Unimplemented });
    await expect(collect(client.serverStream({}))).rejects.toMatchObject({ code: Code.Unimplemented });
  });

  it("a draining server waits for its handlers, then cuts them, and refuses others", async () => {
    await using server = createMemoryServer({ routes: (router) => router.service(EchoService, moody) });
    const client = createServiceClient(EchoService, server.connect());
    const waiting = client.unary({ text: "wait" });
    waiting.catch(() => {});
    const drained = server.drain(60_000);
    await expect(client.unary({})).rejects.toMatchObject({ code: Code.Unavailable });
    const shorter = server.drain(0);
    await expect(waiting).rejects.toMatchObject({ code: Code.Unavailable });
    expect(await drained).toEqual({ cut: 1 });
    expect(await shorter).toEqual({ cut: 1 });
    expect(server.inFlight).toBe(0);
  });

  it("a transport that closes ends its own calls only", async () => {
    await using server = createMemoryServer({ routes: (router) => router.service(EchoService, moody) });
    const transport = server.connect();
    const [mine, other] = [transport, server.connect()].map((own) => createServiceClient(EchoService, own));
    const caller = new AbortController();
    const ended = mine?.unary({ text: "wait" });
    const stays = other?.unary({ text: "wait" }, { signal: caller.signal });
    await transport.close();
    await expect(ended).rejects.toMatchObject({ code: Code.Canceled });
    await expect(mine?.unary({})).rejects.toMatchObject({ code: Code.Canceled });
    expect((await other?.unary({ text: "a" }))?.text).toBe("a!");
    caller.abort();
    await expect(stays).rejects.toMatchObject({ code: Code.Canceled });
  });
});
