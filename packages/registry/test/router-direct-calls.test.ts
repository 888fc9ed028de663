import { Code, createClient, type ServiceImpl } from "@connectrpc/connect";
import {
  callerIdKey,
  createMemoryServer,
  type DirectEndpoint,
  definePlugin,
  memoryStrategy,
  openCallTransport,
  parseEndpoint,
} from "@cpg/core";
import { systemClock } from "@cpg/resilience";
import { describe, expect, it } from "vitest";
import { requestHttp1 } from "./support/raw-request.ts";
import { RelayService } from "./support/relay-service.ts";
import { credentialsOf, startRouterHost } from "./support/router-host.ts";

const relay = definePlugin({ name: "relay", version: "1.0.0", service: RelayService });

function memoryEndpoint(impl: Partial<ServiceImpl<typeof RelayService>>): DirectEndpoint {
  const memory = createMemoryServer({ routes: (router) => void router.service(RelayService, impl) });
  return {
    name: "memory:relay",
    open(options) {
      const transport = memory.connect(options);
      return { transport, httpVersion: undefined, close: () => transport.close() };
    },
  };
}

async function startScene(endpoint: DirectEndpoint, controlToken?: string) {
  const host = await startRouterHost({ controlTokenOf: () => controlToken });
  const upstream = { kind: "direct", endpoint, plugins: { relay } } as const;
  const facts = { upstream, endpointPath: `/${RelayService.typeName}/` };
  host.register("relay-1", "relay", facts);
  const api = host.issue("api");
  return {
    host,
    api,
    /** As a typed client of ours does: its path is what follows the endpoint path. */
    clientOf(httpVersion: "1.1" | "2", protocol: "connect" | "grpc" | "grpc-web") {
      const calls = openCallTransport({
        endpoint: parseEndpoint(`${host.endpoint}`),
        httpVersion,
        protocol,
        interceptors: [
          (next) => (request) => {
            const header = new Headers(request.header);
            for (const [name, value] of Object.entries(credentialsOf(api))) header.set(name, value);
            const url = new URL(request.url);
            url.pathname = `/services/relay/-/${url.pathname.split("/").at(-1)}`;
            return next({ ...request, header, url: url.href });
          },
        ],
      });
      return { client: createClient(RelayService, calls.transport), [Symbol.asyncDispose]: () => calls.close() };
    },
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}

const variants = [
  { http: "1.1", protocol: "connect" },
  { http: "2", protocol: "connect" },
  { http: "2", protocol: "grpc" },
  { http: "1.1", protocol: "grpc-web" },
  { http: "2", protocol: "grpc-web" },
] as const;

describe.each(variants)("a routed call of a plugin in memory, over HTTP/$http by $protocol", ({ http, protocol }) => {
  it("is answered, and told of", async () => {
    await using scene = await startScene(memoryEndpoint({ unary: ({ text }) => ({ text: `${text}!` }) }));
    await using caller = scene.clientOf(http, protocol);
    expect((await caller.client.unary({ text: "hello" })).text).toBe("hello!");
    const record = await scene.host.nextRecord();
    expect(record).toMatchObject({
      caller: scene.api.identity.runtimeId,
      provider: "relay-1",
      method: "/cpg.test.v1.RelayService/Unary",
      status: 200,
      attempts: 1,
      error: undefined,
    });
    expect(record.requestBytes).toBeGreaterThan(0);
    expect(record.responseBytes).toBeGreaterThan(0);
    expect(scene.host.health).toEqual(["relay-1 ok"]);
    expect(scene.host.errors).toEqual([]);
  });

  it("ends with its caller's identity, before an answer and after", async () => {
    const { promise: aborted, resolve: abort } = Promise.withResolvers<void>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const endpoint = memoryEndpoint({
      unary: () => new Promise(() => begin()),
      async *serverStream(_request, context) {
        context.signal.addEventListener("abort", () => abort());
        yield { count: 1 };
        await new Promise(() => {});
      },
    });
    for (const kind of ["before", "after"] as const) {
      await using scene = await startScene(endpoint);
      await using caller = scene.clientOf(http, protocol);
      const { runtimeId } = scene.api.identity;
      const read = async (): Promise<void> => {
        for await (const _ of caller.client.serverStream({})) scene.host.identities().revoke(runtimeId);
      };
      const wait = async (): Promise<void> => {
        const answer = caller.client.unary({}).catch((reason: unknown) => Promise.reject(reason));
        answer.catch(() => {}); // looked at below
        await begun;
        scene.host.identities().revoke(runtimeId);
        await answer;
      };
      const failure = kind === "before" ? { code: Code.Unauthenticated } : {};
      await expect(kind === "before" ? wait() : read()).rejects.toMatchObject(failure);
      expect(await scene.host.nextRecord()).toMatchObject({ code: "unauthenticated", attempts: 1 });
      expect(scene.host.inFlight).toBe(0);
    }
    await aborted;
  });
});

describe("a routed call of a plugin in memory", () => {
  it("that is launched here tells it who calls", async () => {
    const callers: (string | undefined)[] = [];
    const strategy = memoryStrategy({
      plugins: { relay },
      impls: {
        relay: {
          unary(request, context) {
            callers.push(context.values.get(callerIdKey));
            return request;
          },
          async *serverStream() {},
          clientStream: async () => ({}),
          async *bidiStream() {},
        },
      },
    });
    const launched = await strategy.launch({
      plugin: "relay",
      readyTimeoutMs: 20_000,
      onLog() {},
      clock: systemClock,
    });
    await using scene = await startScene(launched.direct ?? memoryEndpoint({}), launched.controlToken);
    await using caller = scene.clientOf("2", "connect");
    await caller.client.unary({});
    expect(callers).toEqual([scene.api.identity.runtimeId]);
    await launched.kill();
  });

  it("of what it does not serve is not implemented", async () => {
    await using scene = await startScene(memoryEndpoint({}));
    const headers = Object.entries(credentialsOf(scene.api));
    const answer = await requestHttp1(scene.host.port, { target: "/services/relay/-/Nothing", headers });
    expect(JSON.parse(answer.body.toString())).toMatchObject({ code: "unimplemented" });
  });
});
