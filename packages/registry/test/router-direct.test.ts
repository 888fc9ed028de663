import { once } from "node:events";
import { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { create } from "@bufbuild/protobuf";
import { type Any, AnySchema, anyPack, DurationSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type ServiceImpl } from "@connectrpc/connect";
import {
  createMemoryServer,
  type DirectEndpoint,
  definePlugin,
  type HttpRoute,
  openCallTransport,
  parseEndpoint,
  serve,
} from "@cpg/core";
import { describe, expect, it } from "vitest";
import type { ByteCount } from "../src/router/direct/count-bytes.ts";
import { createDirectPlugin, type DirectEnd, type NodeExchange } from "../src/router/direct/direct-plugin.ts";
import { type Parcel, ParcelSchema, RelayService } from "./support/relay-service.ts";

const relay = definePlugin({ name: "relay", version: "1.0.0", service: RelayService });

/** A plugin in memory, behind a listener that makes calls of HTTP requests as the router does. */
async function startDirect(impl: Partial<ServiceImpl<typeof RelayService>>, headers: readonly string[] = []) {
  const memory = createMemoryServer({ routes: (router) => void router.service(RelayService, impl) });
  const endpoint: DirectEndpoint = {
    name: "memory:relay",
    open(options) {
      const transport = memory.connect(options);
      return { transport, httpVersion: undefined, close: () => transport.close() };
    },
  };
  const errors: unknown[] = [];
  const upstream = { kind: "direct", endpoint, plugins: { relay } } as const;
  const plugin = createDirectPlugin({
    upstream,
    maxMessageBytes: 1024 * 1024,
    onError: (error) => void errors.push(error),
  });
  const calls: Promise<DirectEnd & { readonly bytes: ByteCount }>[] = [];
  const call = ({ request, response }: NodeExchange): void => {
    const path = (request.url ?? "").slice("/direct".length);
    const passed = Object.entries(request.headers).filter(([name]) => !name.startsWith(":"));
    const { ended, bytes } = plugin.call({
      request,
      response,
      path,
      headers: [...passed.flatMap(([name, value]) => [name, String(value)]), ...headers],
    });
    calls.push(ended.then((end) => ({ ...end, bytes })));
  };
  const route: HttpRoute = {
    path: "/direct/",
    prefix: true,
    handle: (request, response) => call({ request, response }),
    handleStream: (stream, all, raw) =>
      call({ request: new Http2ServerRequest(stream, all, {}, raw), response: new Http2ServerResponse(stream) }),
  };
  const host = await serve({
    plugins: { relay },
    impls: { relay: {} as ServiceImpl<typeof RelayService> },
    listen: { port: 0 },
    link: false,
    handleSignals: false,
    environment: {},
    httpRoutes: [route],
  });
  return {
    url: `${host.endpoint}/direct`,
    /** In the order in which they came. */
    calls,
    errors,
    async [Symbol.asyncDispose]() {
      await host.close({ graceMs: 0 });
      await plugin.close();
      await memory.close();
    },
  };
}

const variants = (["1.1", "2"] as const).flatMap((httpVersion) =>
  (["connect", "grpc", "grpc-web"] as const).map((protocol) => ({ httpVersion, protocol })),
);
const http2 = variants.filter(({ httpVersion }) => httpVersion === "2");
const supported = variants.filter(({ httpVersion, protocol }) => httpVersion === "2" || protocol !== "grpc");

function clientOf(url: string, { httpVersion, protocol }: (typeof variants)[number]) {
  const calls = openCallTransport({ endpoint: parseEndpoint(url), httpVersion, protocol, callTimeoutMs: 0 });
  return {
    client: createClient(RelayService, calls.transport),
    [Symbol.asyncDispose]: () => calls.close(),
  };
}

async function readAll(messages: AsyncIterable<Parcel>): Promise<void> {
  for await (const _ of messages);
}

async function* three() {
  for (const count of [1, 2, 3]) yield create(ParcelSchema, { text: "x", count });
}

describe.each(supported)("a call of a plugin in memory, over HTTP/$httpVersion by $protocol", (variant) => {
  it("passes one message each way, with headers and trailers", async () => {
    await using direct = await startDirect(
      {
        unary(request, context) {
          context.responseHeader.set("x-head", context.requestHeader.get("x-own") ?? "");
          context.responseTrailer.set("x-trail", context.requestHeader.get("x-plugin-caller-id") ?? "");
          return { ...request, text: `${request.text}!` };
        },
      },
      ["x-plugin-caller-id", "api-1"],
    );
    await using caller = clientOf(direct.url, variant);
    const got: (string | null)[] = [];
    const answer = await caller.client.unary(
      { text: "hello" },
      {
        headers: { "x-own": "mine" },
        onHeader: (header) => void got.push(header.get("x-head")),
        onTrailer: (trailer) => void got.push(trailer.get("x-trail")),
      },
    );
    expect(answer.text).toBe("hello!");
    expect(got).toEqual(["mine", "api-1"]);
  });

  it("passes streams of the server, and of the client", async () => {
    await using direct = await startDirect({
      async *serverStream(request, context) {
        for (let count = 1; count <= request.count; count++) yield { count };
        context.responseTrailer.set("x-trail", "end");
      },
      async clientStream(requests, context) {
        let count = 0;
        for await (const request of requests) count += request.count;
        context.responseTrailer.set("x-trail", "end");
        return { count };
      },
    });
    await using caller = clientOf(direct.url, variant);
    const trails: (string | null)[] = [];
    const onTrailer = (trailer: Headers): void => void trails.push(trailer.get("x-trail"));
    const counts: number[] = [];
    for await (const { count } of caller.client.serverStream({ count: 3 }, { onTrailer })) counts.push(count);
    expect(counts).toEqual([1, 2, 3]);
    expect((await caller.client.clientStream(three(), { onTrailer })).count).toBe(6);
    expect(trails).toEqual(["end", "end"]);
  });

  it("passes an error with its code, message, details and metadata", async () => {
    const detail = { desc: AnySchema, value: anyPack(DurationSchema, create(DurationSchema, { seconds: 7n })) };
    const failure = () =>
      new ConnectError("no room", Code.ResourceExhausted, { "x-why": "full" }, [
        { desc: AnySchema, value: detail.value as Any },
      ]);
    await using direct = await startDirect({
      unary() {
        throw failure();
      },
      async *serverStream() {
        yield { count: 1 };
        throw failure();
      },
    });
    await using caller = clientOf(direct.url, variant);
    const errors = await Promise.all([
      caller.client.unary({}).catch((reason: unknown) => ConnectError.from(reason)),
      readAll(caller.client.serverStream({})).catch((reason: unknown) => ConnectError.from(reason)),
    ]);
    for (const error of errors) {
      expect(error).toMatchObject({ code: Code.ResourceExhausted, rawMessage: "no room" });
      expect(error instanceof ConnectError && error.metadata.get("x-why")).toBe("full");
      expect(error instanceof ConnectError && error.findDetails(AnySchema)).toHaveLength(1);
    }
    const ends = await Promise.all(direct.calls);
    expect(ends.map((end) => end.error?.code)).toEqual([Code.ResourceExhausted, Code.ResourceExhausted]);
  });

  it("passes the deadline, and sets none of its own", async () => {
    const timeouts: (number | undefined)[] = [];
    await using direct = await startDirect({
      unary(request, context) {
        timeouts.push(context.timeoutMs());
        return request;
      },
    });
    await using caller = clientOf(direct.url, variant);
    await caller.client.unary({}, { timeoutMs: 50_000 });
    await caller.client.unary({});
    expect(timeouts[0]).toBeGreaterThan(0);
    expect(timeouts[0]).toBeLessThanOrEqual(50_000);
    expect(timeouts[1]).toBeUndefined();
  });

  it("answers unimplemented for a method that the plugin does not have", async () => {
    await using direct = await startDirect({});
    await using caller = clientOf(direct.url, variant);
    await expect(caller.client.unary({})).rejects.toMatchObject({ code: Code.Unimplemented });
    await using elsewhere = clientOf(`${direct.url}/elsewhere`, variant);
    await expect(elsewhere.client.unary({})).rejects.toMatchObject({ code: Code.Unimplemented });
  });

  it("counts the bytes of both bodies", async () => {
    await using direct = await startDirect({ unary: (request) => ({ text: request.text.repeat(2) }) });
    await using caller = clientOf(direct.url, variant);
    await caller.client.unary({ text: "x".repeat(10_000) });
    const [end] = await Promise.all(direct.calls);
    expect(end?.bytes.request).toBeGreaterThanOrEqual(10_000);
    expect(end?.bytes.request).toBeLessThan(10_100);
    expect(end?.bytes.response).toBeGreaterThanOrEqual(20_000);
    expect(end?.bytes.response).toBeLessThan(20_300);
    expect(direct.errors).toEqual([]);
  });

  it("ends in the plugin when its caller leaves", async () => {
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const { promise: left, resolve: leave } = Promise.withResolvers<void>();
    await using direct = await startDirect({
      async *serverStream(_request, context) {
        yield { count: 1 };
        begin();
        await once(context.signal, "abort");
        leave();
      },
    });
    await using caller = clientOf(direct.url, variant);
    const controller = new AbortController();
    const reading = readAll(caller.client.serverStream({}, { signal: controller.signal }));
    await begun;
    controller.abort(new ConnectError("enough", Code.Canceled));
    await expect(reading).rejects.toThrow();
    await left;
    const ends = await Promise.all(direct.calls);
    expect(ends.map(({ answered }) => answered)).toEqual([false]);
  });
});

describe.each(http2)("a call in both directions at once, by $protocol", (variant) => {
  it("passes each message when it is sent", async () => {
    await using direct = await startDirect({
      async *bidiStream(requests) {
        for await (const { text } of requests) yield { text: `${text}!` };
      },
    });
    await using caller = clientOf(direct.url, variant);
    const { promise: go, resolve: letGo } = Promise.withResolvers<void>();
    async function* requests() {
      yield create(ParcelSchema, { text: "a" });
      await go;
      yield create(ParcelSchema, { text: "b" });
    }
    const answers: string[] = [];
    for await (const { text } of caller.client.bidiStream(requests())) {
      answers.push(text);
      letGo();
    }
    expect(answers).toEqual(["a!", "b!"]);
  });
});
