import { getEventListeners, once } from "node:events";
import { createSecureServer } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { FakeClock } from "@cpg/resilience/testing";
import { beforeAll, describe, expect, it } from "vitest";
import { type Listener, openListener, type ServerTlsOptions } from "../src/listener/listener.ts";
import { type CallTransportOptions, openCallTransport } from "../src/wire/call-transport.ts";
import { parseEndpoint } from "../src/wire/endpoint.ts";
import { createRpcHandler } from "../src/wire/rpc-handler.ts";
import { createCertificates, type TestCertificates } from "./support/certificates.ts";
import { collect } from "./support/collect.ts";
import { createEcho, EchoService } from "./support/echo-service.ts";
import { serveHttp } from "./support/misbehaving-servers.ts";

const versions = ["1.1", "2"] as const;
const protocols = ["connect", "grpc", "grpc-web"] as const;

interface Server extends AsyncDisposable {
  readonly listener: Listener;
  /** Headers of the requests, in their order. */
  readonly headers: Headers[];
}

async function serve(tls?: ServerTlsOptions): Promise<Server> {
  const headers: Headers[] = [];
  const listener = await openListener({
    address: { port: 0 },
    tls,
    handler: createRpcHandler({
      routes: (router) => router.service(EchoService, createEcho()),
      interceptors: [
        (next) => (request) => {
          headers.push(request.header);
          return next(request);
        },
      ],
      fallback: (_, response) => void response.end(),
    }),
  });
  return { listener, headers, [Symbol.asyncDispose]: () => listener.close() };
}

function callerOf(endpoint: string, options: Partial<CallTransportOptions> = {}) {
  const calls = openCallTransport({ endpoint: parseEndpoint(endpoint), httpVersion: "1.1", ...options });
  return { calls, client: createClient(EchoService, calls.transport), [Symbol.asyncDispose]: () => calls.close() };
}

describe("openCallTransport", () => {
  const table = versions.flatMap((httpVersion) =>
    protocols.flatMap((protocol) => [false, true].map((json) => ({ httpVersion, protocol, json }))),
  );

  it.each(table)("$protocol over HTTP/$httpVersion, JSON $json: every kind of call", async (options) => {
    await using server = await serve();
    await using caller = callerOf(server.listener.endpoint, options);
    const { client } = caller;
    expect(await client.unary({ text: "hi" })).toMatchObject({ text: "hi" });
    expect((await collect(client.serverStream({ count: 3 }))).map(({ count }) => count)).toEqual([1, 2, 3]);
    const texts = async function* () {
      yield { text: "a" };
      yield { text: "b" };
    };
    expect(await client.clientStream(texts())).toMatchObject({ text: "ab", count: 2 });
  });

  it.each(protocols)("$0 over HTTP/2: both directions at a time", async (protocol) => {
    await using server = await serve();
    await using caller = callerOf(server.listener.endpoint, { protocol, httpVersion: "2" });
    const heard = Promise.withResolvers<void>();
    const texts = async function* () {
      yield { text: "a" };
      await heard.promise;
      yield { text: "b" };
    };
    const answers: string[] = [];
    for await (const { text } of caller.client.bidiStream(texts())) {
      answers.push(text);
      heard.resolve();
    }
    expect(answers).toEqual(["a", "b"]);
  });

  it("uses one connection of HTTP/2 for calls after and beside each other", async () => {
    await using server = await serve();
    await using caller = callerOf(server.listener.endpoint, { httpVersion: "2" });
    await Promise.all(Array.from({ length: 50 }, () => caller.client.unary({})));
    await caller.client.unary({});
    expect(server.listener.connections).toBe(1);
  });

  it("opens at most maxSockets connections of HTTP/1.1, and uses them again", async () => {
    await using server = await serve();
    await using caller = callerOf(server.listener.endpoint, { maxSockets: 4 });
    await Promise.all(Array.from({ length: 50 }, () => caller.client.unary({})));
    expect(server.listener.connections).toBe(4);
  });

  it.each(versions)("closes a connection of HTTP/%s that was idle for long", async (httpVersion) => {
    await using server = await serveHttp(httpVersion, {
      http1: (response) => response.writeHead(200, { "content-type": "application/proto" }).end(),
      http2: (stream) => {
        stream.respond({ ":status": 200, "content-type": "application/proto" });
        stream.end();
      },
    });
    const url = server.endpoint.kind === "tcp" ? server.endpoint.url : "";
    await using caller = callerOf(url, { httpVersion, idleTimeoutMs: 20 });
    await caller.client.unary({});
    const [socket] = server.accepted.all;
    const closed = socket?.closed ? undefined : once(socket ?? process, "close");
    await closed;
    await caller.client.unary({});
    expect(server.accepted.all).toHaveLength(2);
  });

  it.each([
    { timeoutMs: undefined, callTimeoutMs: undefined, header: "60000" },
    { timeoutMs: undefined, callTimeoutMs: 0, header: null },
    { timeoutMs: 5_000, callTimeoutMs: undefined, header: "5000" },
    { timeoutMs: 2 ** 40, callTimeoutMs: undefined, header: "2147483647" },
  ])(
    "unary, timeoutMs $timeoutMs, callTimeoutMs $callTimeoutMs: announces $header",
    async ({ timeoutMs, callTimeoutMs, header }) => {
      await using server = await serve();
      await using caller = callerOf(server.listener.endpoint, { callTimeoutMs });
      await caller.client.unary({}, timeoutMs === undefined ? {} : { timeoutMs });
      expect(server.headers[0]?.get("connect-timeout-ms")).toBe(header);
    },
  );

  it("sets no time-out for streams", async () => {
    await using server = await serve();
    await using caller = callerOf(server.listener.endpoint);
    await collect(caller.client.serverStream({ count: 1 }));
    expect(server.headers[0]?.get("connect-timeout-ms")).toBeNull();
  });

  it.each([
    { compression: undefined, accepts: null },
    { compression: true, accepts: "gzip,br" },
  ])("compression $compression to loopback: accepts $accepts", async ({ compression, accepts }) => {
    await using server = await serve();
    await using caller = callerOf(server.listener.endpoint, { compression, httpVersion: "2" });
    await caller.client.unary({});
    expect(server.headers[0]?.get("accept-encoding")).toBe(accepts);
  });

  it.each(["gzip", "br"] as const)("sends compressed with %s", async (sendCompression) => {
    await using server = await serve();
    await using caller = callerOf(server.listener.endpoint, { sendCompression });
    expect((await caller.client.unary({ text: "x".repeat(5_000) })).text).toHaveLength(5_000);
    expect(server.headers[0]?.get("content-encoding")).toBe(sendCompression);
  });

  it("refuses messages beyond maxMessageBytes, in and out", async () => {
    await using server = await serve();
    await using caller = callerOf(server.listener.endpoint, { maxMessageBytes: 100 });
    const codeOf = (call: Promise<unknown>) =>
      call.then(
        () => "succeeded",
        (error) => ConnectError.from(error).code,
      );
    expect(await codeOf(caller.client.unary({ text: "x".repeat(200) }))).toBe(Code.ResourceExhausted);
    const growing = async function* () {
      for (let i = 0; i < 5; i++) yield { text: "x".repeat(40) };
    };
    expect(await codeOf(caller.client.clientStream(growing()))).toBe(Code.ResourceExhausted);
  });
});

describe("close", () => {
  it.each(versions)(
    "ends calls over HTTP/%s with canceled, later calls at once, and can be repeated",
    async (httpVersion) => {
      await using server = await serveHttp(httpVersion);
      const clock = new FakeClock();
      const calls = openCallTransport({ endpoint: server.endpoint, httpVersion, clock });
      const client = createClient(EchoService, calls.transport);
      const errorOf = (call: Promise<unknown>) =>
        call.then(
          () => undefined,
          (error: unknown) => error,
        );
      const open = [errorOf(client.unary({})), errorOf(collect(client.serverStream({})))];
      await server.accepted.find(() => true);
      await Promise.all([calls.close(), calls.close()]);
      const later = [errorOf(client.unary({})), errorOf(collect(client.serverStream({})))];
      for (const error of await Promise.all([...open, ...later])) {
        expect(error).toMatchObject({ code: Code.Canceled, rawMessage: expect.stringContaining("is closed") });
      }
      expect(clock.pending).toBe(0);
    },
  );

  it("ends calls that wait for a socket", async () => {
    await using server = await serveHttp("1.1");
    const calls = openCallTransport({ endpoint: server.endpoint, httpVersion: "1.1", maxSockets: 1 });
    const client = createClient(EchoService, calls.transport);
    const all = Promise.allSettled([client.unary({}), client.unary({}), client.unary({})]);
    await server.accepted.find(() => true);
    await calls.close();
    for (const one of await all) expect(one).toMatchObject({ status: "rejected", reason: { code: Code.Canceled } });
  });
});

describe("what a call leaves behind", () => {
  it.each(versions)("HTTP/%s: 1,000 calls leave no listener on their signal and no timer", async (httpVersion) => {
    await using server = await serve();
    const clock = new FakeClock();
    await using caller = callerOf(server.listener.endpoint, { httpVersion, clock, maxSockets: 16 });
    const { signal } = new AbortController();
    await caller.client.unary({}, { signal });
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const before = timers();
    for (let round = 0; round < 10; round++) {
      await Promise.all(
        Array.from({ length: 100 }, (_, i) =>
          i % 2 === 0
            ? caller.client.unary({}, { signal })
            : collect(caller.client.serverStream({ count: 1 }, { signal })),
        ),
      );
    }
    // The last stream of HTTP/2 closes a moment after its call has ended.
    while (clock.pending > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
    expect(timers()).toBeLessThanOrEqual(before + 1); // one may be Node's own, of idle sockets
  });
});

describe("TLS", () => {
  let certificates: TestCertificates;
  beforeAll(async () => {
    certificates = await createCertificates();
  });

  it.each(versions)("HTTP/%s: verifies the server and shows its own certificate", async (httpVersion) => {
    const { ca, server: own, client } = certificates;
    await using server = await serve({ ...own, ca, requestCert: true, rejectUnauthorized: true });
    await using caller = callerOf(server.listener.endpoint, { httpVersion, tls: { ca, ...client } });
    expect(await caller.client.unary({ text: "hi" })).toMatchObject({ text: "hi" });
  });

  it.each(versions)("HTTP/%s: an unknown authority is unavailable, stage tls", async (httpVersion) => {
    await using server = await serve(certificates.server);
    await using caller = callerOf(server.listener.endpoint, { httpVersion });
    await expect(caller.client.unary({})).rejects.toMatchObject({ code: Code.Unavailable, cause: { stage: "tls" } });
  });

  it.each(versions)("HTTP/%s: without the certificate that a server wants it is unavailable", async (httpVersion) => {
    const { ca, server: own } = certificates;
    await using server = await serve({ ...own, ca, requestCert: true, rejectUnauthorized: true });
    await using caller = callerOf(server.listener.endpoint, { httpVersion, tls: { ca } });
    await expect(caller.client.unary({})).rejects.toMatchObject({ code: Code.Unavailable });
  });

  it.each(versions)("HTTP/%s: a certificate for another name is unavailable, stage tls", async (httpVersion) => {
    const { ca, server: own } = certificates;
    await using server = await serve(own);
    await using caller = callerOf(server.listener.endpoint, { httpVersion, tls: { ca, servername: "other.test" } });
    await expect(caller.client.unary({})).rejects.toMatchObject({ code: Code.Unavailable, cause: { stage: "tls" } });
  });

  it("HTTP/2: a server that offers none of it is unavailable", async () => {
    const { ca, server: own } = certificates;
    const server = createHttpsServer({ ...own, ALPNProtocols: ["http/1.1"] });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const address = server.address();
    const port = address !== null && typeof address === "object" ? address.port : 0;
    await using caller = callerOf(`https://127.0.0.1:${port}`, { httpVersion: "2", tls: { ca } });
    await expect(caller.client.unary({})).rejects.toMatchObject({ code: Code.Unavailable });
    server.close();
  });

  it("asks for the lowest version that minVersion allows", async () => {
    const { ca, server: own } = certificates;
    const server = createSecureServer({ ...own, maxVersion: "TLSv1.2" });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const address = server.address();
    const port = address !== null && typeof address === "object" ? address.port : 0;
    await using caller = callerOf(`https://127.0.0.1:${port}`, {
      httpVersion: "2",
      tls: { ca, minVersion: "TLSv1.3" },
    });
    await expect(caller.client.unary({})).rejects.toMatchObject({ code: Code.Unavailable, cause: { stage: "tls" } });
    server.close();
  });
});
