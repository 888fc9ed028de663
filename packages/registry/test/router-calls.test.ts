import { once } from "node:events";
import { constants } from "node:http2";
import { describe, expect, it } from "vitest";
import { openSession, requestHttp1, requestHttp2 } from "./support/raw-request.ts";
import { credentialsOf, httpUpstream, startHttpProvider, startRouterHost } from "./support/router-host.ts";

describe("what a provider sees of a routed call", () => {
  it.each(["1.1", "2"] as const)(
    "is the request, without credentials and with who calls, over HTTP/%s",
    async (http) => {
      await using host = await startRouterHost({
        controlTokenOf: ({ providerId }) => (providerId === "kv-1" ? "control secret" : undefined),
      });
      await using provider = await startHttpProvider((_request, response) => response.end("answered"));
      host.register("kv-1", "kv", { upstream: provider.upstream, endpointPath: "/acme.KV/" });
      const api = host.issue("api");
      using session = openSession(host.endpoint);
      const request = {
        method: "PUT",
        target: "/services/kv/kv-1/a/G%65t/?b=%2F..&c=//d",
        headers: [
          ...Object.entries(credentialsOf(api)),
          ["x-plugin-runtime-token", "secret"],
          ["x-plugin-caller-id", "forged-1"],
          ["x_plugin_caller_id", "forged-2"],
          ["x-plugin-control-token", "forged"],
          ["proxy-authorization", "Basic secret"],
          ["cookie", "a=b"],
          ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
          ["tracestate", "c=d"],
          ["grpc-timeout", "5S"],
          ["connect-timeout-ms", "5000"],
          ["x-own", "kept"],
          ...(http === "1.1"
            ? [["connection", "x-plugin-caller-id, x-own-hop"] as const, ["x-own-hop", "gone"] as const]
            : []),
        ] as const,
        body: "hello",
      };
      const answer = http === "1.1" ? await requestHttp1(host.port, request) : await requestHttp2(session, request);
      expect(answer.body.toString()).toBe("answered");
      const [seen] = provider.seen;
      expect(seen).toMatchObject({ method: "PUT", url: "/acme.KV/a/G%65t/?b=%2F..&c=//d" });
      expect(seen?.headers).toMatchObject({
        host: `127.0.0.1:${provider.port}`,
        "x-plugin-caller-id": api.identity.runtimeId,
        "x-plugin-control-token": "control secret",
        cookie: "a=b",
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        tracestate: "c=d",
        "grpc-timeout": "5S",
        "connect-timeout-ms": "5000",
        "x-own": "kept",
      });
      const text = JSON.stringify(seen?.rawHeaders).toLowerCase();
      for (const gone of [api.token, "forged", "authorization", "runtime-id", "runtime-token", "own-hop", "basic"]) {
        expect(text).not.toContain(gone.toLowerCase());
      }
    },
  );

  it.each(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])(
    "is its method: %s",
    async (method) => {
      await using host = await startRouterHost();
      await using provider = await startHttpProvider((_request, response) => response.end());
      host.register("kv-1", "kv", { upstream: provider.upstream });
      const headers = Object.entries(credentialsOf(host.issue("api")));
      using session = openSession(host.endpoint);
      await requestHttp1(host.port, { method, target: "/services/kv/-/x", headers });
      await requestHttp2(session, { method, target: "/services/kv/-/x", headers });
      expect(provider.seen.map((request) => request.method)).toEqual([method, method]);
    },
  );
});

describe("a call to any provider", () => {
  it("goes on to another when the first refuses connections, and its body with it", async () => {
    await using host = await startRouterHost();
    await using provider = await startHttpProvider(async (request, response) => {
      response.end(`got ${Buffer.concat(await request.toArray()).toString()}`);
    });
    const gone = await startHttpProvider(() => {});
    await gone[Symbol.asyncDispose]();
    host.register("kv-1", "kv", { upstream: httpUpstream(gone.port, "1.1") });
    host.register("kv-2", "kv", { upstream: provider.upstream });
    const headers = Object.entries(credentialsOf(host.issue("api")));
    const answer = await requestHttp1(host.port, { target: "/services/kv/-/x", headers, body: "y".repeat(60_000) });
    expect(answer.body.toString()).toBe(`got ${"y".repeat(60_000)}`);
    expect(await host.nextRecord()).toMatchObject({ provider: "kv-2", attempts: 2, code: "ok", status: 200 });
    expect(host.health).toEqual(["kv-1 refused", "kv-2 ok"]);
  });
});

describe("the end of the caller's identity", () => {
  it.each(["1.1", "2"] as const)(
    "cuts an answer that has begun, and the provider sees it, over HTTP/%s",
    async (http) => {
      await using host = await startRouterHost();
      const { promise: left, resolve: leave } = Promise.withResolvers<void>();
      await using provider = await startHttpProvider((_request, response) => {
        response.once("close", leave);
        response.write("begun");
      });
      host.register("kv-1", "kv", { upstream: provider.upstream });
      const api = host.issue("api");
      const headers = credentialsOf(api);
      using session = openSession(host.endpoint);
      const viaHttp2 = async (): Promise<void> => {
        const stream = session.request({ ...headers, ":path": "/services/kv/-/x", ":method": "POST" });
        stream.on("error", () => {});
        stream.once("data", () => host.identities().revoke(api.identity.runtimeId));
        await once(stream, "close");
        expect(stream.rstCode).not.toBe(constants.NGHTTP2_NO_ERROR);
      };
      const viaHttp1 = async (): Promise<void> => {
        const response = await fetch(`${host.endpoint}/services/kv/-/x`, { method: "POST", headers });
        host.identities().revoke(api.identity.runtimeId);
        await expect(response.text()).rejects.toThrow();
      };
      await (http === "2" ? viaHttp2() : viaHttp1());
      await left;
      expect(await host.nextRecord()).toMatchObject({ code: "unauthenticated", status: 200, attempts: 1 });
      expect(host.inFlight).toBe(0);
      expect(host.health).toEqual([]);
    },
  );

  it("is the answer of a call that has none yet", async () => {
    await using host = await startRouterHost();
    const { promise: left, resolve: leave } = Promise.withResolvers<void>();
    const api = host.issue("api");
    await using provider = await startHttpProvider((_request, response) => {
      response.once("close", leave);
      host.identities().revoke(api.identity.runtimeId);
    });
    host.register("kv-1", "kv", { upstream: provider.upstream });
    const headers = Object.entries(credentialsOf(api));
    const answer = await requestHttp1(host.port, { target: "/services/kv/-/x", headers });
    expect(answer.status).toBe(401);
    await left;
    expect(await host.nextRecord()).toMatchObject({ code: "unauthenticated", attempts: 1 });
  });

  it("leaves the calls of others alone", async () => {
    await using host = await startRouterHost();
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<() => void>();
    await using provider = await startHttpProvider((_request, response) => arrive(() => response.end("late")));
    host.register("kv-1", "kv", { upstream: provider.upstream });
    const [api, other] = [host.issue("api"), host.issue("api")];
    const answer = requestHttp1(host.port, { target: "/services/kv/-/x", headers: Object.entries(credentialsOf(api)) });
    const end = await arrived;
    host.identities().revoke(other.identity.runtimeId);
    end();
    expect((await answer).body.toString()).toBe("late");
  });
});

describe("the record of a call", () => {
  it("has the bytes that passed", async () => {
    await using host = await startRouterHost();
    await using provider = await startHttpProvider(async (request, response) => {
      await request.toArray();
      response.writeHead(404).end("x".repeat(2_000));
    });
    host.register("kv-1", "kv", { upstream: provider.upstream, endpointPath: "/acme.KV/" });
    const api = host.issue("api");
    const headers = Object.entries(credentialsOf(api));
    await requestHttp1(host.port, { target: "/services/kv/-/Get?q", headers, body: "y".repeat(1_000) });
    expect(await host.nextRecord()).toMatchObject({
      caller: api.identity.runtimeId,
      type: "kv",
      provider: "kv-1",
      method: "/acme.KV/Get",
      httpMethod: "POST",
      code: "not_found",
      status: 404,
      requestBytes: 1_000,
      responseBytes: 2_000,
      attempts: 1,
      error: undefined,
    });
  });
});
