import { once } from "node:events";
import { request as httpRequest, type RequestOptions } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { ConnectError, createContextKey, type Interceptor, type ServiceImpl } from "@connectrpc/connect";
import { type Peer, peerKey } from "@cpg/resilience";
import { describe, expect, it } from "vitest";
import { type Listener, openListener, peerOf } from "../src/listener/listener.ts";
import { authorityKey } from "../src/wire/request-authority.ts";
import { createRpcHandler, type RpcHandlerOptions } from "../src/wire/rpc-handler.ts";
import { createEcho, EchoService } from "./support/echo-service.ts";
import { createEventLog } from "./support/event-log.ts";
import { connectRaw } from "./support/raw-client.ts";

interface Fixture extends AsyncDisposable {
  readonly listener: Listener;
  readonly errors: ReturnType<typeof createEventLog<unknown>>;
}

async function start(
  impl: Partial<ServiceImpl<typeof EchoService>> = createEcho(),
  options: Partial<RpcHandlerOptions> = {},
): Promise<Fixture> {
  const errors = createEventLog<unknown>();
  const listener = await openListener({
    address: { port: 0 },
    handler: createRpcHandler({
      routes: (router) => router.service(EchoService, impl),
      fallback: (request, response) => void response.end(`fallback of ${request.url}`),
      onError: errors.add,
      ...options,
    }),
    onError: errors.add,
  });
  return { listener, errors, [Symbol.asyncDispose]: () => listener.close() };
}

const unaryPath = "/cpg.test.v1.EchoService/Unary";

interface Answer {
  readonly status: number | undefined;
  readonly encoding: string | undefined;
  readonly body: string;
}

/** One plain HTTP/1.1 request, by default a Connect call with a JSON body. */
async function post(listener: Listener, path: string, body: string, options: RequestOptions = {}): Promise<Answer> {
  const headers = { "content-type": "application/json", ...options.headers };
  const request = httpRequest(listener.endpoint + path, { method: "POST", agent: false, ...options, headers });
  request.end(body);
  const [response] = await once(request, "response");
  let text = "";
  for await (const chunk of response) text += chunk.toString("latin1");
  return { status: response.statusCode, encoding: response.headers["content-encoding"], body: text };
}

describe("createRpcHandler", () => {
  it("serves RPCs, with a query or without, and leaves every other path to the fallback", async () => {
    await using server = await start();
    const { listener } = server;
    expect(await post(listener, unaryPath, '{"text":"hi"}')).toMatchObject({ status: 200, body: '{"text":"hi"}' });
    expect(await post(listener, `${unaryPath}?a=b`, "{}")).toMatchObject({ status: 200, body: "{}" });
    for (const path of [
      "/",
      "/healthz?x",
      `${unaryPath}/`,
      `/prefix${unaryPath}`,
      "//",
      "/cpg.test.v1.EchoService/No",
    ]) {
      expect(await post(listener, path, "{}")).toMatchObject({ status: 200, body: `fallback of ${path}` });
    }
  });

  it.each([
    ["HTTP method", "PUT", { "content-type": "application/json" }, 405],
    ["content type", "POST", { "content-type": "text/plain" }, 415],
    ["encoding of the request", "POST", { "content-encoding": "zip" }, 501],
  ])("refuses another %s", async (_, method, headers, status) => {
    await using server = await start();
    expect(await post(server.listener, unaryPath, "{}", { method, headers })).toMatchObject({ status });
  });

  it.each(["a b", "[", "a:99999", "user@[::1"])("answers 400 to the malformed Host %j, and goes on", async (host) => {
    await using server = await start();
    const { listener, errors } = server;
    using client = await connectRaw(listener.address);
    client.write(
      `POST ${unaryPath} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
    );
    await client.until("HTTP/1.1 400 Bad Request");
    expect(errors.all).toHaveLength(1);
    expect(await post(listener, unaryPath, "{}")).toMatchObject({ status: 200 });
  });

  it("answers 400 to HTTP/1.0 without Host", async () => {
    await using server = await start();
    using client = await connectRaw(server.listener.address);
    client.write(`POST ${unaryPath} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`);
    await expect(client.closed).resolves.toMatch(/^HTTP\/1\.1 400 /);
  });

  it("gives handlers the peer, the authority and what contextValues sets", async () => {
    const nameKey = createContextKey("nobody");
    const seen: { peer: Peer | undefined; authority: string | undefined; name: string }[] = [];
    const peers: Peer[] = [];
    await using server = await start(
      {
        unary(request, { values }) {
          seen.push({ peer: values.get(peerKey), authority: values.get(authorityKey), name: values.get(nameKey) });
          return request;
        },
      },
      {
        contextValues(request, values) {
          peers.push(peerOf(request));
          values.set(nameKey, "somebody");
        },
      },
    );
    const { listener } = server;
    await post(listener, unaryPath, "{}", { headers: { host: "plugin.test:81" } });
    const session = connectHttp2(listener.endpoint);
    const stream = session.request({
      ":method": "POST",
      ":path": unaryPath,
      ":authority": "h2.test",
      "content-type": "application/json",
    });
    await once(stream.end("{}"), "response");
    session.destroy();
    expect(seen.map(({ authority, name }) => [authority, name])).toEqual([
      ["plugin.test:81", "somebody"],
      ["h2.test", "somebody"],
    ]);
    expect(seen.map(({ peer }) => peer)).toEqual(peers);
  });

  it("answers 500 when contextValues throws, and reports it", async () => {
    await using server = await start(createEcho(), {
      contextValues() {
        throw new Error("no values");
      },
    });
    expect(await post(server.listener, unaryPath, "{}")).toMatchObject({ status: 500 });
    expect(server.errors.all.map(String)).toEqual(["Error: no values"]);
  });

  it("does not show callers the message of an error that is no ConnectError", async () => {
    await using server = await start({
      unary() {
        throw new Error("password: 123");
      },
    });
    const answer = await post(server.listener, unaryPath, "{}");
    expect(answer).toMatchObject({ status: 500, body: expect.not.stringContaining("123") });
  });

  it.each([
    [{}, undefined],
    [{ "accept-encoding": "gzip" }, "gzip"],
    [{ "accept-encoding": "br" }, "br"],
    [{ "accept-encoding": "zip" }, undefined],
  ])("compresses for a caller that sends %j as %s", async (headers, encoding) => {
    await using server = await start();
    const body = JSON.stringify({ text: "x".repeat(5_000) });
    expect(await post(server.listener, unaryPath, body, { headers })).toMatchObject({ status: 200, encoding });
  });

  it("aborts the signals of handlers when shutdownSignal does", async () => {
    const shutdown = new AbortController();
    const began = Promise.withResolvers<void>();
    await using server = await start(
      {
        async unary(request, { signal }) {
          began.resolve();
          await once(signal, "abort");
          return request;
        },
      },
      { shutdownSignal: shutdown.signal },
    );
    const answer = post(server.listener, unaryPath, "{}");
    await began.promise;
    shutdown.abort();
    await expect(answer).resolves.toMatchObject({ status: expect.any(Number) });
  });

  it("runs interceptors in order, the first outermost", async () => {
    const log: string[] = [];
    const logging =
      (name: string): Interceptor =>
      (next) =>
      async (request) => {
        log.push(`${name} sees the request`);
        const response = await next(request);
        log.push(`${name} sees the response`);
        return response;
      };
    await using server = await start(createEcho(), { interceptors: [logging("outer"), logging("inner")] });
    await post(server.listener, unaryPath, "{}");
    expect(log).toEqual([
      "outer sees the request",
      "inner sees the request",
      "inner sees the response",
      "outer sees the response",
    ]);
  });

  it("cuts an answer whose caller has gone without reporting it, and does not fail", async () => {
    const began = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    await using server = await start({
      async *serverStream(request, { signal }) {
        try {
          began.resolve();
          while (!signal.aborted) yield { ...request, data: new Uint8Array(65_536) };
        } finally {
          ended.resolve();
        }
      },
    });
    const { listener, errors } = server;
    using client = await connectRaw(listener.address);
    const envelope = "\0\0\0\0\u0002{}";
    client.write(
      "POST /cpg.test.v1.EchoService/ServerStream HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+json\r\n" +
        `Content-Length: ${envelope.length}\r\n\r\n${envelope}`,
    );
    await began.promise;
    await client.until("200 OK");
    client.socket.destroy();
    await ended.promise;
    await listener.close();
    // The listener tells of the connection that broke, and nobody of the answer that did.
    expect(errors.all.filter((error) => error instanceof ConnectError)).toEqual([]);
  });

  it("ends an answer that cannot be sent, and reports it", async () => {
    await using server = await start({
      unary(request, { responseHeader }) {
        responseHeader.set("transfer-encoding", "none"); // HTTP/2 knows no such header
        return request;
      },
    });
    const session = connectHttp2(server.listener.endpoint);
    const stream = session.request({ ":method": "POST", ":path": unaryPath, "content-type": "application/json" });
    await once(stream.end("{}"), "close");
    session.destroy();
    expect(server.errors.all.map(String)).toEqual([expect.stringContaining("HTTP/1 Connection specific headers")]);
  });

  it("refuses two services with one path", () => {
    const routes: RpcHandlerOptions["routes"] = (router) =>
      router.service(EchoService, createEcho()).service(EchoService, createEcho());
    expect(() => createRpcHandler({ routes, fallback: () => {} })).toThrow(
      "two services serve /cpg.test.v1.EchoService/Unary",
    );
  });
});
