import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { callerProtocols, errorOf } from "./support/error-of-answer.ts";
import { healthOf } from "./support/facts.ts";
import { openSession, type RawAnswer, type RawRequest, requestHttp1, requestHttp2 } from "./support/raw-request.ts";
import {
  credentialsOf,
  httpUpstream,
  type RouterHostOptions,
  startHttpProvider,
  startRouterHost,
} from "./support/router-host.ts";

async function startScene(options: RouterHostOptions = {}) {
  const host = await startRouterHost(options);
  const session = openSession(host.endpoint);
  const credentials = Object.entries(credentialsOf(host.issue("api")));
  return {
    host,
    send(http: "1.1" | "2", request: RawRequest): Promise<RawAnswer> {
      const headers = [...(request.headers ?? []), ...credentials];
      return http === "2"
        ? requestHttp2(session, { ...request, headers })
        : requestHttp1(host.port, { ...request, headers });
    },
    async [Symbol.asyncDispose]() {
      session.destroy();
      await host[Symbol.asyncDispose]();
    },
  };
}

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

describe.each(callerProtocols)("a caller of HTTP/$http that sends $contentType", ({ protocol, contentType, http }) => {
  const hasStatuses = protocol === "plain" || protocol === "connect";
  const headers = [["content-type", contentType]] as const;
  const expected = (code: Code, status: number) => ({ code, status: hasStatuses ? status : 200 });

  it("learns that nobody provides the type, or not that provider", async () => {
    await using scene = await startScene();
    await using provider = await startHttpProvider((_request, response) => response.end());
    scene.host.register("kv-1", "kv", { upstream: provider.upstream });
    for (const target of ["/services/log/-/Get", "/services/kv/kv-2/Get", "/services/log/kv-1/Get"]) {
      const answer = await scene.send(http, { target, headers });
      expect(errorOf(answer, protocol)).toEqual(expected(Code.NotFound, 404));
      expect(await scene.host.nextRecord()).toMatchObject({ code: "not_found", attempts: 0 });
    }
    expect(provider.seen).toEqual([]);
  });

  it("learns that policy says no", async () => {
    const access = {
      check(): void {
        throw new ConnectError("not for you", Code.PermissionDenied);
      },
    };
    await using scene = await startScene({ access });
    await using provider = await startHttpProvider((_request, response) => response.end());
    scene.host.register("kv-1", "kv", { upstream: provider.upstream });
    for (const target of ["/services/kv/-/Get", "/services/kv/kv-1/Get", "/services/unknown/-/Get"]) {
      expect(errorOf(await scene.send(http, { target, headers }), protocol)).toEqual(
        expected(Code.PermissionDenied, 403),
      );
    }
    expect(provider.seen).toEqual([]);
  });

  it("learns that the provider is unhealthy, or draining", async () => {
    await using scene = await startScene();
    await using provider = await startHttpProvider((_request, response) => response.end());
    scene.host.register("kv-1", "kv", { upstream: provider.upstream });
    scene.host.register("kv-2", "kv", { upstream: provider.upstream });
    scene.host.store.setHealth("kv-1", healthOf("unhealthy"));
    scene.host.store.setDraining("kv-2");
    for (const target of ["/services/kv/-/Get", "/services/kv/kv-1/Get", "/services/kv/kv-2/Get"]) {
      expect(errorOf(await scene.send(http, { target, headers }), protocol)).toEqual(expected(Code.Unavailable, 503));
    }
    expect(provider.seen).toEqual([]);
  });

  it("learns that the provider cannot be reached", async () => {
    await using scene = await startScene();
    scene.host.register("kv-1", "kv", { upstream: httpUpstream(await closedPort(), "1.1") });
    for (const target of ["/services/kv/-/Get", "/services/kv/kv-1/Get"]) {
      const answer = await scene.send(http, { target, headers, body: "hello" });
      expect(errorOf(answer, protocol)).toEqual(expected(Code.Unavailable, 502));
      expect(answer.body.toString()).not.toContain("127.0.0.1");
      expect(await scene.host.nextRecord()).toMatchObject({ code: "unavailable", provider: "kv-1", attempts: 1 });
    }
    expect(scene.host.health).toEqual(["kv-1 refused", "kv-1 refused"]);
  });

  it("learns that the connection to the provider was lost before an answer", async () => {
    await using scene = await startScene();
    await using provider = await startHttpProvider((request) => void request.socket.destroy());
    scene.host.register("kv-1", "kv", { upstream: provider.upstream });
    const answer = await scene.send(http, { target: "/services/kv/-/Get", headers, body: "hello" });
    expect(errorOf(answer, protocol)).toEqual(expected(Code.Unavailable, 502));
    expect(provider.seen).toHaveLength(1);
    expect(scene.host.health).toEqual(["kv-1 reset"]);
  });

  it("learns that it has too many calls open, and when to come back", async () => {
    await using scene = await startScene({ limits: { maxCallsPerCaller: 1 } });
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<() => void>();
    await using provider = await startHttpProvider((_request, response) => arrive(() => response.end("late")));
    scene.host.register("kv-1", "kv", { upstream: provider.upstream });
    const first = scene.send(http, { target: "/services/kv/-/Get", headers });
    const answerFirst = await arrived;
    const second = await scene.send(http, { target: "/services/kv/-/Get", headers });
    expect(errorOf(second, protocol)).toEqual(expected(Code.ResourceExhausted, 429));
    const delay = protocol === "connect-stream" ? second.body.toString() : second.headers["retry-after"];
    expect(delay).toMatch(protocol === "connect-stream" ? /"retry-after":\["1"\]/ : /^1$/);
    answerFirst();
    expect((await first).body.toString()).toBe("late");
    expect(provider.seen).toHaveLength(1);
  });
});

describe("a caller of a host that shuts down", () => {
  it("gets the answer that it waits for, and no new one", async () => {
    await using scene = await startScene();
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<() => void>();
    await using provider = await startHttpProvider((_request, response) => arrive(() => response.end("late")));
    scene.host.register("kv-1", "kv", { upstream: provider.upstream });
    const first = scene.send("2", { target: "/services/kv/-/Get" });
    const answerFirst = await arrived;
    const closed = scene.host.close(20_000);
    answerFirst();
    expect((await first).body.toString()).toBe("late");
    await closed;
    expect(scene.host.inFlight).toBe(0);
  });
});
