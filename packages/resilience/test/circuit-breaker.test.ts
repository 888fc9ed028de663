import { createServer, type Http2Server } from "node:http2";
import { type AddressInfo, createServer as createNetServer } from "node:net";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node";
import { createCircuitBreaker } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { EchoService } from "./fixtures/echo-service.ts";

describe("a circuit breaker over sockets", () => {
  it("opens when the server is gone, spares it while open, closes when it is back", async () => {
    let seen = 0;
    const listen = async (port: number) => {
      const server = createServer(
        connectNodeAdapter({
          routes: ({ service }) => {
            service(EchoService, {
              get({ value }) {
                seen += 1;
                return { value };
              },
            });
          },
        }),
      );
      await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
      return server;
    };
    const close = async (server: Http2Server) => {
      await new Promise((resolve) => server.close(resolve));
    };
    const first = await listen(0);
    const { port } = first.address() as AddressInfo;
    const baseUrl = `http://127.0.0.1:${port}`;
    const clock = new FakeClock();
    const breaker = createCircuitBreaker({ failureThreshold: 2, openMs: 1_000, clock });
    const call = async () => {
      // A transport each, so that no connection is kept.
      const transport = createConnectTransport({
        baseUrl,
        httpVersion: "2",
        interceptors: [breaker.interceptor],
        idleConnectionTimeoutMs: 1,
      });
      return createClient(EchoService, transport).get({ value: "hello" });
    };
    const codeOf = async () =>
      call().then(
        () => undefined,
        (reason: unknown) => ConnectError.from(reason).code,
      );

    expect(await codeOf()).toBeUndefined();
    await close(first);
    expect([await codeOf(), await codeOf()]).toEqual([Code.Unavailable, Code.Unavailable]);
    expect(breaker.snapshot(baseUrl)).toMatchObject({ state: "open", rejected: 0 });
    const second = await listen(port);
    expect(await codeOf()).toBe(Code.Unavailable);
    expect([seen, breaker.snapshot(baseUrl).rejected]).toEqual([1, 1]);
    await clock.advance(1_000);
    expect([await codeOf(), await codeOf(), breaker.state(baseUrl), seen]).toEqual([undefined, undefined, "closed", 3]);
    await close(second);
  });

  it.each(["1.1", "2"] as const)("opens when servers die during calls over HTTP/%s", async (httpVersion) => {
    const server = createNetServer((socket) => {
      socket.once("data", () => socket.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const breaker = createCircuitBreaker({ failureThreshold: 2 });
    const transport = createConnectTransport({ baseUrl, httpVersion, interceptors: [breaker.interceptor] });
    const client = createClient(EchoService, transport);
    for (let call = 0; call < 2; call++) await expect(client.get({ value: "hello" })).rejects.toThrow(ConnectError);
    expect(breaker.snapshot(baseUrl)).toMatchObject({ state: "open" });
    server.close();
  });
});
