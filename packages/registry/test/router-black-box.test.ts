import { Code } from "@connectrpc/connect";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { callerProtocols, errorOf } from "./support/error-of-answer.ts";
import { openSession, type RawAnswer, type RawRequest, requestHttp1, requestHttp2 } from "./support/raw-request.ts";
import { credentialsOf, startHttpProvider, startRouterHost } from "./support/router-host.ts";

/** A host, a provider of "kv" and a caller, over either version of HTTP. */
async function startScene(options: Parameters<typeof startRouterHost>[0] = {}) {
  const host = await startRouterHost(options);
  const provider = await startHttpProvider((_request, response) => response.end("answered"));
  const kv = host.issue("kv").identity;
  host.register(kv.runtimeId, "kv", { upstream: provider.upstream, endpointPath: "/acme.KV/" });
  const api = host.issue("api");
  const session = openSession(host.endpoint);
  return {
    host,
    provider,
    kvId: kv.runtimeId,
    api,
    credentials: Object.entries(credentialsOf(api)),
    send: (http: "1.1" | "2", request: RawRequest): Promise<RawAnswer> =>
      http === "2" ? requestHttp2(session, request) : requestHttp1(host.port, request),
    async [Symbol.asyncDispose]() {
      session.destroy();
      await host[Symbol.asyncDispose]();
      await provider[Symbol.asyncDispose]();
    },
  };
}

/** Statuses of callers whose protocol has one for each error. */
const statuses = new Map<Code, number>([
  [Code.InvalidArgument, 400],
  [Code.Unauthenticated, 401],
  [Code.PermissionDenied, 403],
  [Code.NotFound, 404],
  [Code.ResourceExhausted, 429],
  [Code.Unavailable, 503],
]);

describe.each(callerProtocols)("a caller of HTTP/$http that sends $contentType", ({ protocol, contentType, http }) => {
  const hasStatuses = protocol === "plain" || protocol === "connect";
  const refusal = (code: Code, status = statuses.get(code)) => ({ code, status: hasStatuses ? status : 200 });
  const type = ["content-type", contentType] as const;

  it("is refused without an identity, with a wrong or another's token, or with two", async () => {
    await using scene = await startScene();
    const { host, kvId, api } = scene;
    const id = ["x-plugin-runtime-id", api.identity.runtimeId] as const;
    const token = ["authorization", `Bearer ${api.token}`] as const;
    const attempts: (readonly (readonly [string, string])[])[] = [
      [],
      [id],
      [token],
      [id, ["authorization", `Bearer ${api.token}x`]],
      [id, ["authorization", "Bearer "]],
      [id, ["authorization", `Basic ${api.token}`]],
      [["x-plugin-runtime-id", kvId], token],
      [["x-plugin-runtime-id", "nobody-1"], token],
      [["x-plugin-caller-id", api.identity.runtimeId]],
      [id, ["x-plugin-runtime-token", api.token]],
      [id, id, token],
    ];
    const { revision } = host.store;
    for (const headers of attempts) {
      const answer = await scene.send(http, { target: `/services/kv/${kvId}/Get`, headers: [type, ...headers] });
      expect(errorOf(answer, protocol)).toEqual(refusal(Code.Unauthenticated));
      expect(await host.nextRecord()).toMatchObject({ caller: undefined, attempts: 0, code: "unauthenticated" });
    }
    expect(scene.provider.seen).toEqual([]);
    expect(host.store.revision).toBe(revision);
  });

  it("is refused with an identity that has expired, or was revoked", async () => {
    const clock = new FakeClock();
    await using scene = await startScene({ serve: { clock, identityTtlMs: 1_000 } });
    const { host, kvId, credentials } = scene;
    const request = { target: `/services/kv/${kvId}/Get`, headers: [type, ...credentials] };
    host.identities().renew(scene.api.identity.runtimeId);
    expect((await scene.send(http, request)).status).toBe(200);
    await clock.advance(1_000);
    expect(errorOf(await scene.send(http, request), protocol)).toEqual(refusal(Code.Unauthenticated));
    const revoked = host.issue("api");
    host.identities().revoke(revoked.identity.runtimeId);
    const headers = [type, ...Object.entries(credentialsOf(revoked))];
    expect(errorOf(await scene.send(http, { ...request, headers }), protocol)).toEqual(refusal(Code.Unauthenticated));
    expect(scene.provider.seen).toHaveLength(1);
  });

  it("does not get past the path", async () => {
    await using scene = await startScene();
    const { host, kvId } = scene;
    const malformed = [
      "/services/",
      "/services/kv",
      `/services/kv/${kvId}`,
      `/services//${kvId}/Get`,
      "/services/kv//Get",
      `/services/../${kvId}/Get`,
      "/services/kv/../Get",
      `/services/k%76/${kvId}/Get`,
      "/services/kv/%2d/Get",
      "/services/kv/-/..",
      "/services/kv/-/../acme.Other/Get",
      "/services/kv/-/./Get",
      "/services/kv/-/..;/Get",
      "/services/kv/-/%2e%2e/Get",
      "/services/kv/-/%2E%2e%2fGet",
      "/services/kv/-/%252e%252e/Get",
      "/services/kv/-/..%2facme.Other",
      "/services/kv/-/a%2fb",
      "/services/kv/-/a%252Fb",
      "/services/kv/-/a%5cb",
      "/services/kv/-/a\\b",
      "/services/kv/-//Get",
      "/services/kv/-/a//b",
      "/services/kv/-/a%00",
      "/services/kv/-/a%2500",
      "/services/kv/-/a%0d%0aX-Plugin-Caller-ID:%20kv",
      "/services/kv/-/a%7f",
      "/services/kv/-/a%",
      "/services/kv/-/a%zz",
      "/services/kv/-/%c0%ae%c0%ae/Get",
      `/services/${"a".repeat(129)}/-/Get`,
      `/services/kv/${"a".repeat(257)}/Get`,
    ];
    const protectedPaths = [
      "/services/kv/-/connectplugin.v1.PluginControl/Shutdown",
      "/services/kv/-/%63onnectplugin.v1.PluginControl/Shutdown",
      "/services/kv/-/%2563onnectplugin.v1.PluginControl/Shutdown",
      "/services/kv/-/ConnectPlugin.v1.PluginControl/Shutdown",
      "/services/kv/-/broker/connectplugin.v1.CapabilityBroker/RequestCapability",
    ];
    const { revision } = host.store;
    const headers = [type, ...scene.credentials];
    for (const target of malformed) {
      const answer = await scene.send(http, { target, headers });
      expect({ target, ...errorOf(answer, protocol) }).toEqual({ target, ...refusal(Code.InvalidArgument) });
    }
    for (const target of protectedPaths) {
      const answer = await scene.send(http, { target, headers });
      expect({ target, ...errorOf(answer, protocol) }).toEqual({ target, ...refusal(Code.PermissionDenied) });
    }
    expect(scene.provider.seen).toEqual([]);
    expect(host.store.revision).toBe(revision);
    expect(host.health).toEqual([]);
  });
});

describe.each(["1.1", "2"] as const)("a request that is too long, over HTTP/%s", (http) => {
  it.each([
    { what: "path", target: `/services/kv/-/${"a".repeat(70_000)}`, extra: [] },
    { what: "query", target: `/services/kv/-/a?${"a".repeat(70_000)}`, extra: [] },
    { what: "header", target: "/services/kv/-/a", extra: [["x-long", "a".repeat(70_000)] as const] },
    { what: "token", target: "/services/kv/-/a", extra: [["authorization", `Bearer ${"a".repeat(70_000)}`] as const] },
  ])("in its $what reaches nobody", async ({ target, extra }) => {
    await using scene = await startScene();
    const { revision } = scene.host.store;
    const headers = [...scene.credentials, ...extra];
    // HTTP/2 may cut the stream instead: the listener's own answer to a header list beyond its limit.
    const status = await scene.send(http, { target, headers }).then(
      (answer) => answer.status,
      () => "cut",
    );
    expect([431, "cut"]).toContain(status);
    expect(scene.provider.seen).toEqual([]);
    expect(scene.host.store.revision).toBe(revision);
    expect(scene.host.inFlight).toBe(0);
  });
});

describe("a path that no route has", () => {
  it.each([
    "/services",
    "//services/kv/-/Get",
    "/SERVICES/kv/-/Get",
    "/%73ervices/kv/-/Get",
    "/./services/kv/-/Get",
    "/x/../services/kv/-/Get",
    "/\\services/kv/-/Get",
    "http://elsewhere/services/kv/-/Get",
    "services/kv/-/Get",
    "*",
  ])("reaches nobody: %s", async (target) => {
    await using scene = await startScene();
    for (const http of ["1.1", "2"] as const) {
      const status = await scene.send(http, { target, headers: scene.credentials }).then(
        (answer) => answer.status,
        () => "cut",
      );
      expect([400, 404, "cut"]).toContain(status);
    }
    expect(scene.provider.seen).toEqual([]);
  });
});
