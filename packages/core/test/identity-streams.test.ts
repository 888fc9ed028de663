import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { HealthService } from "../src/gen/connectplugin/health/v1/health_pb.ts";
import { createIdentityRegistry, type IdentityRegistry } from "../src/identity/identity-registry.ts";
import { requireIdentity } from "../src/identity/require-identity.ts";
import { openListener } from "../src/listener/listener.ts";
import { createRpcHandler } from "../src/wire/rpc-handler.ts";

interface StreamServer extends AsyncDisposable {
  readonly baseUrl: string;
  readonly identities: IdentityRegistry;
  /** Resolves when the handler of the next stream has ended, with what its signal aborted with. */
  readonly handlerEnded: Promise<unknown>;
}

/** Serves a stream that sends one message and then waits for ever. */
async function startStreamServer(): Promise<StreamServer> {
  const identities = createIdentityRegistry({ clock: new FakeClock() });
  let resolveEnded = (_reason: unknown): void => {};
  const handlerEnded = new Promise((resolve) => {
    resolveEnded = resolve;
  });
  const handler = createRpcHandler({
    interceptors: [requireIdentity(identities)],
    routes({ service }) {
      service(HealthService, {
        async *watch(_request, { signal }) {
          try {
            yield { status: 1 };
            await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
          } finally {
            resolveEnded(signal.reason);
          }
        },
      });
    },
    fallback: (_request, response) => void response.end(),
  });
  const listener = await openListener({ address: { port: 0 }, handler });
  return {
    baseUrl: listener.endpoint,
    identities,
    handlerEnded,
    async [Symbol.asyncDispose]() {
      identities.close();
      await listener.close();
    },
  };
}

describe.each(["connect over HTTP/1.1", "connect over HTTP/2", "grpc over HTTP/2"])("an open stream, %s", (wire) => {
  const httpVersion = wire.endsWith("1.1") ? "1.1" : "2";

  async function openStream(server: StreamServer) {
    const sessions = new Http2SessionManager(server.baseUrl);
    const common = { baseUrl: server.baseUrl, sessionManager: sessions };
    const transport = wire.startsWith("grpc")
      ? createGrpcTransport(common)
      : createConnectTransport({ ...common, httpVersion });
    const { identity, token } = server.identities.issue({ selfId: "a" });
    const abort = new AbortController();
    const headers = { "x-plugin-runtime-id": identity.runtimeId, authorization: `Bearer ${token}` };
    const stream = createClient(HealthService, transport).watch({}, { headers, signal: abort.signal });
    const reader = stream[Symbol.asyncIterator]();
    expect((await reader.next()).value?.status).toBe(1);
    return { reader, identity, abort, end: () => sessions.abort() };
  }

  it("ends with unauthenticated at once when the identity ends, and so does its handler", async () => {
    await using server = await startStreamServer();
    const { reader, identity, end } = await openStream(server);
    const next = reader.next();
    server.identities.revoke(identity.runtimeId);
    const error = await next.then(
      () => undefined,
      (reason) => ConnectError.from(reason),
    );
    expect(error?.code).toBe(Code.Unauthenticated);
    expect(error?.rawMessage).toMatch(/revoked/);
    expect(ConnectError.from(await server.handlerEnded).code).toBe(Code.Unauthenticated);
    end();
  });

  it("ends its handler when the caller aborts, and a later end of the identity harms nobody", async () => {
    await using server = await startStreamServer();
    const { reader, identity, abort, end } = await openStream(server);
    const next = reader.next().catch(() => "aborted");
    abort.abort();
    expect(await next).toBe("aborted");
    await server.handlerEnded;
    server.identities.revoke(identity.runtimeId);
    end();
  });
});
