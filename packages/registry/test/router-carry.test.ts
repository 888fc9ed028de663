import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { describe, expect, it } from "vitest";
import { headerObject } from "../src/router/headers/header-object.ts";
import { allValuesOf, lowerNames, oneValueOf, openCaller } from "./support/callers.ts";
import { startCarryingHost } from "./support/carrying-host.ts";
import { startHttp1Provider, startHttp2Provider } from "./support/providers.ts";

/** What a provider saw of a request. */
interface Seen {
  readonly method: string;
  readonly path: string;
  /** With Host, or :authority as "host". */
  readonly headers: readonly string[];
  readonly body: Buffer;
  readonly trailers: readonly string[];
}

interface Reply {
  readonly status?: number;
  /** Names and values in turn. */
  readonly headers?: readonly string[];
  readonly body?: Buffer | string;
  readonly trailers?: Record<string, string>;
  /** Interim answers before it. */
  readonly inform?: { readonly status: number; readonly headers: Record<string, string> };
}

/** A provider in either version of HTTP that answers with what `reply` makes of the whole request. */
async function startProvider(http: "1.1" | "2", reply: (seen: Seen) => Reply) {
  const all: Seen[] = [];
  if (http === "1.1") {
    const provider = await startHttp1Provider(async (request: IncomingMessage, response: ServerResponse) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const headers = lowerNames(request.rawHeaders);
      const seen: Seen = {
        method: request.method ?? "",
        path: request.url ?? "",
        headers,
        body: Buffer.concat(chunks),
        trailers: lowerNames(request.rawTrailers),
      };
      all.push(seen);
      const { status = 200, headers: answered = [], body, trailers, inform } = reply(seen);
      if (inform !== undefined) response.writeEarlyHints(inform.headers);
      response.writeHead(status, [...answered]);
      if (trailers !== undefined) response.addTrailers(trailers);
      response.end(body);
    });
    return { ...provider, seen: all };
  }
  const provider = await startHttp2Provider(async (stream: ServerHttp2Stream, headers, raw) => {
    let last: readonly string[] = [];
    stream.on("trailers", (_headers: IncomingHttpHeaders, _flags: number, rawTrailers: string[]) => {
      last = rawTrailers;
    });
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    const seen: Seen = {
      method: headers[":method"] ?? "",
      path: headers[":path"] ?? "",
      headers: ["host", headers[":authority"] ?? "", ...raw.slice(8)],
      body: Buffer.concat(chunks),
      trailers: last,
    };
    all.push(seen);
    const { status = 200, headers: answered = [], body, trailers, inform } = reply(seen);
    if (inform !== undefined) stream.additionalHeaders({ ":status": inform.status, ...inform.headers });
    const endStream = body === undefined && trailers === undefined;
    stream.respond(
      { ...headerObject(answered), ":status": status },
      { endStream, waitForTrailers: trailers !== undefined },
    );
    stream.on("wantTrailers", () => stream.sendTrailers(trailers ?? {}));
    if (!endStream) stream.end(body);
  });
  return { ...provider, seen: all };
}

const versions = (["1.1", "2"] as const).flatMap((from) => (["1.1", "2"] as const).map((to) => ({ from, to })));

describe.each(versions)("a call over HTTP/$from to a provider of HTTP/$to", ({ from, to }) => {
  it("passes path, query, headers and body, and the answer with its headers", async () => {
    await using provider = await startProvider(to, ({ body }) => ({
      status: 207,
      headers: ["content-type", "text/x", "set-cookie", "a=1", "set-cookie", "b=2", "x-own", "answer"],
      body: Buffer.concat([Buffer.from("re: "), body]),
    }));
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openCaller(host.port, from);
    const answer = await caller.call({
      path: "/to/a%20b/c?d=e&f",
      headers: { "x-own": "request", "content-type": "text/x", "x-many": ["1", "2"] },
      body: "hello",
    });
    expect(answer.status).toBe(207);
    expect(answer.body.toString()).toBe("re: hello");
    expect(allValuesOf(answer.headers, "set-cookie")).toEqual(["a=1", "b=2"]);
    expect(oneValueOf(answer.headers, "x-own")).toBe("answer");
    const [seen] = provider.seen;
    expect(seen).toMatchObject({ method: "POST", path: "/a%20b/c?d=e&f" });
    expect(seen?.body.toString()).toBe("hello");
    expect(allValuesOf(seen?.headers ?? [], "x-many").join(", ")).toBe("1, 2");
    expect(allValuesOf(seen?.headers ?? [], "host")).toEqual([provider.upstream.authority]);
    const exchange = await host.nextExchange();
    expect(await host.nextEnd()).toEqual({
      kind: "answered",
      status: 207,
      contentType: "text/x",
      grpcStatus: undefined,
      cut: undefined,
    });
    expect([exchange.requestBytes, exchange.responseBytes]).toEqual([5, 9]);
    expect(host.errors).toEqual([]);
  });

  it("keeps what is about one connection on that connection", async () => {
    await using provider = await startProvider(to, () => ({ headers: ["x-answer", "1", "x-hop", "2"], body: "" }));
    await using host = await startCarryingHost({
      upstreams: [provider.upstream],
      // HTTP/2 has no such headers; a front may add them all the same.
      headers: () =>
        ["connection", "X-Hop, keep-alive", "x-hop", "1", "keep-alive", "timeout=5", "x-own", "1"].concat(
          ["proxy-connection", "keep-alive", "upgrade", "websocket", "http2-settings", "AAMAAABkAAQAAP__"],
          ["te", "gzip, trailers", "host", "elsewhere.test"],
        ),
    });
    await using caller = await openCaller(host.port, from);
    await caller.call({ path: "/to/x", body: "" });
    const names = (provider.seen[0]?.headers ?? []).filter((_, index) => index % 2 === 0);
    expect(names).toContain("x-own");
    for (const gone of ["x-hop", "keep-alive", "proxy-connection", "upgrade", "http2-settings"]) {
      expect(names).not.toContain(gone);
    }
    expect(oneValueOf(provider.seen[0]?.headers ?? [], "te")).toBe("trailers");
    expect(allValuesOf(provider.seen[0]?.headers ?? [], "host")).toEqual([provider.upstream.authority]);
  });

  it.each([
    { method: "GET", body: undefined, reply: { body: "got" }, expected: "got" },
    { method: "DELETE", body: "which", reply: { body: "deleted" }, expected: "deleted" },
    { method: "HEAD", body: undefined, reply: { headers: ["content-length", "5"] }, expected: "" },
    { method: "POST", body: undefined, reply: { status: 204 }, expected: "" },
    { method: "GET", body: undefined, reply: { status: 304, headers: ["etag", '"x"'] }, expected: "" },
    { method: "PUT", body: "", reply: { body: "" }, expected: "" },
    { method: "PROPFIND", body: "<x/>", reply: { status: 404, body: "none" }, expected: "none" },
  ])("carries $method with body $body and reply $reply", async ({ method, body, reply, expected }) => {
    await using provider = await startProvider(to, () => reply);
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openCaller(host.port, from);
    for (const round of [1, 2]) {
      const answer = await caller.call({ method, path: "/to/x", ...(body === undefined ? {} : { body }) });
      expect([round, answer.status, answer.body.toString()]).toEqual([round, reply.status ?? 200, expected]);
      expect(await host.nextEnd()).toMatchObject({ kind: "answered", cut: undefined });
    }
    expect(provider.seen.map((seen) => [seen.method, seen.body.toString()])).toEqual(
      [1, 2].map(() => [method, body ?? ""]),
    );
    expect(provider.sockets.count).toBe(1);
  });

  it("keeps the length of a HEAD's answer", async () => {
    await using provider = await startProvider(to, () => ({ headers: ["content-length", "5"] }));
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openCaller(host.port, from);
    const answer = await caller.call({ method: "HEAD", path: "/to/x" });
    expect(oneValueOf(answer.headers, "content-length")).toBe("5");
  });

  it("passes trailers both ways", async () => {
    await using provider = await startProvider(to, ({ trailers }) => ({
      headers: ["trailer", "x-last, grpc-status"],
      body: "with trailers",
      trailers: { "x-last": oneValueOf(trailers, "x-check") ?? "none", "grpc-status": "5" },
    }));
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openCaller(host.port, from);
    const answer = await caller.call({
      path: "/to/x",
      headers: { te: "trailers", trailer: "x-check" },
      body: "b",
      trailers: { "x-check": "sum", "x-plugin-caller-id": "somebody" },
    });
    expect(answer.body.toString()).toBe("with trailers");
    expect(oneValueOf(answer.trailers, "x-last")).toBe("sum");
    expect(oneValueOf(answer.trailers, "grpc-status")).toBe("5");
    expect(await host.nextEnd()).toMatchObject({ kind: "answered", grpcStatus: "5" });
    expect(oneValueOf(provider.seen[0]?.trailers ?? [], "x-plugin-caller-id")).toBeUndefined();
  });

  it("carries 8 MB there and back unchanged", async () => {
    await using provider = await startProvider(to, ({ body }) => ({ body }));
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openCaller(host.port, from);
    const body = randomBytes(8 * 1024 * 1024);
    const answer = await caller.call({ path: "/to/x", body });
    expect(answer.body.equals(body)).toBe(true);
    const exchange = await host.nextExchange();
    await host.nextEnd();
    expect([exchange.requestBytes, exchange.responseBytes]).toEqual([body.length, body.length]);
  });

  it("passes interim answers", async () => {
    const inform = { status: 103, headers: { link: "</x>; rel=preload" } };
    await using provider = await startProvider(to, () => ({ inform, body: "x" }));
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openCaller(host.port, from);
    expect((await caller.call({ method: "GET", path: "/to/x" })).informed).toEqual([103]);
  });

  it("answers each of many calls at a time with its own answer", async () => {
    await using provider = await startProvider(to, ({ body }) => ({ body }));
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openCaller(host.port, from);
    const texts = Array.from({ length: 100 }, (_, index) => `call ${index}`);
    const answers = await Promise.all(texts.map((body) => caller.call({ path: "/to/x", body })));
    expect(answers.map(({ body }) => body.toString())).toEqual(texts);
  });
});
