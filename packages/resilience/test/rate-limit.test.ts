import { once } from "node:events";
import { createServer as createHttpServer, type Server } from "node:http";
import { createServer as createHttp2Server, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, createClient, createContextValues, type Transport } from "@connectrpc/connect";
import {
  connectNodeAdapter,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { createRateLimit, nodePeer, peerKey, type RateLimit, readRetryDelay } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { EchoService } from "./fixtures/echo-service.ts";

const routes: Parameters<typeof connectNodeAdapter>[0]["routes"] = ({ service }) => {
  service(EchoService, {
    get: ({ value }) => ({ value }),
    async *list({ value }) {
      yield { value };
    },
  });
};

async function listen(server: Server | Http2Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  return call.then(
    () => {
      throw new Error("the call succeeded");
    },
    (reason: unknown) => ConnectError.from(reason),
  );
}

async function listAll(transport: Transport): Promise<string[]> {
  const values = [];
  for await (const { value } of createClient(EchoService, transport).list({ value: "hello" })) values.push(value);
  return values;
}

describe("a rate limit around a request handler", () => {
  it("answers HTTP 429 with a delay to plain HTTP/1.1, and lets it in again after that", async () => {
    const clock = new FakeClock();
    const limit = createRateLimit({ limit: 1, intervalMs: 1_500, clock });
    const server = createHttpServer(limit.handler((_, response) => response.end("hello")));
    const url = await listen(server);
    expect(await (await fetch(url)).text()).toBe("hello");
    const refused = await fetch(url, { method: "POST", body: "x".repeat(100_000) });
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "2"]);
    expect(await refused.json()).toEqual({ code: "resource_exhausted", message: "too many calls" });
    expect(limit.snapshot("peer 127.0.0.1")).toMatchObject({ tokens: 0 });
    await clock.advance(1_500);
    expect((await fetch(url)).status).toBe(200);
    server.closeAllConnections();
    server.close();
  });

  it("answers RPCs over HTTP/1.1 in their protocol", async () => {
    const limit = createRateLimit({ limit: 1, clock: new FakeClock() });
    const server = createHttpServer(limit.handler(connectNodeAdapter({ routes })));
    const baseUrl = await listen(server);
    const transport = createConnectTransport({ baseUrl, httpVersion: "1.1" });
    expect(await createClient(EchoService, transport).get({ value: "hello" })).toMatchObject({ value: "hello" });
    const errors = [
      await errorOf(createClient(EchoService, transport).get({})),
      await errorOf(listAll(transport)),
      await errorOf(createClient(EchoService, createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })).get({})),
    ];
    expect(errors.map(({ code }) => code)).toEqual(errors.map(() => Code.ResourceExhausted));
    expect(errors.map((error) => readRetryDelay(error))).toEqual(errors.map(() => ({ kind: "after", ms: 1_000 })));
    server.closeAllConnections();
    server.close();
  });

  it("answers RPCs over HTTP/2 in their protocol, on a connection that goes on", async () => {
    const clock = new FakeClock();
    const limit = createRateLimit({ limit: 1, clock });
    const server = createHttp2Server(limit.handler(connectNodeAdapter({ routes })));
    const baseUrl = await listen(server);
    const sessionManager = new Http2SessionManager(baseUrl);
    const transports = [
      createConnectTransport({ baseUrl, httpVersion: "2", sessionManager }),
      createGrpcTransport({ baseUrl, sessionManager }),
      createGrpcWebTransport({ baseUrl, httpVersion: "2", sessionManager }),
    ];
    expect(await listAll(createGrpcTransport({ baseUrl, sessionManager }))).toEqual(["hello"]);
    const errors = [];
    for (const transport of transports) {
      errors.push(await errorOf(createClient(EchoService, transport).get({ value: "x".repeat(200_000) })));
      errors.push(await errorOf(listAll(transport)));
    }
    expect(errors.map(({ code }) => code)).toEqual(errors.map(() => Code.ResourceExhausted));
    expect(errors.map(({ rawMessage }) => rawMessage)).toEqual(errors.map(() => "too many calls"));
    expect(errors.map((error) => readRetryDelay(error))).toEqual(errors.map(() => ({ kind: "after", ms: 1_000 })));
    for (const transport of transports) {
      await clock.advance(1_000);
      expect(await listAll(transport)).toEqual(["hello"]);
    }
    sessionManager.abort();
    server.close();
  });
});

describe("a rate limit in a server and a client", () => {
  it("the server rejects by peer; a client of the same limit waits instead and loses no call", async () => {
    const serve = (limit: RateLimit) =>
      createHttp2Server(
        connectNodeAdapter({
          routes,
          interceptors: [limit.interceptor],
          contextValues: (request) => createContextValues().set(peerKey, nodePeer(request)),
        }),
      );
    const limit = createRateLimit({ limit: 1, burst: 5 });
    const server = serve(limit);
    const baseUrl = await listen(server);
    const sessionManager = new Http2SessionManager(baseUrl);
    const flood = createClient(EchoService, createConnectTransport({ baseUrl, httpVersion: "2", sessionManager }));
    const ends = await Promise.allSettled(Array.from({ length: 100 }, () => flood.get({})));
    const refused = ends.flatMap((end) => (end.status === "rejected" ? [ConnectError.from(end.reason)] : []));
    expect(refused.length).toBeGreaterThan(0);
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set([Code.ResourceExhausted]));
    expect(refused.map((error) => readRetryDelay(error).kind)).toEqual(refused.map(() => "after"));
    expect(limit.snapshot("peer 127.0.0.1").tokens).toBeLessThan(5);

    sessionManager.abort();
    server.close();

    const quick = serve(createRateLimit({ limit: 50, burst: 5 }));
    const quickUrl = await listen(quick);
    const sessions = new Http2SessionManager(quickUrl);
    const paced = createRateLimit({ limit: 40, burst: 1, maxWaitMs: 10_000 });
    const interceptors = [paced.interceptor];
    const patient = createClient(
      EchoService,
      createConnectTransport({ baseUrl: quickUrl, httpVersion: "2", sessionManager: sessions, interceptors }),
    );
    const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => patient.get({ value: `${index}` })));
    expect(answers.map(({ value }) => value)).toEqual(Array.from({ length: 10 }, (_, index) => `${index}`));
    sessions.abort();
    quick.close();
  });
});
