import { Code, ConnectError, type ConnectRouter, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { type RetryEvent, type RetryOptions, retry, retryLater } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { EchoService } from "./fixtures/echo-service.ts";
import { RepeatableService } from "./fixtures/repeatable-service.ts";
import { connectTo, type Protocol, protocols, startTroubledServer } from "./fixtures/troubled-server.ts";

const echo = (router: ConnectRouter) =>
  router.service(EchoService, {
    get: (message) => message,
    set: (message) => message,
    async *list(message) {
      yield message;
    },
  });

const http2 = protocols.filter((protocol) => protocol.endsWith("HTTP/2"));
const versionOf = (protocol: Protocol) => (protocol.endsWith("HTTP/2") ? "2" : "1.1");

/** Retry with short waits, and what it tells. */
function recorded(options: RetryOptions = {}) {
  const events: RetryEvent[] = [];
  const interceptor = retry({
    backoff: { initialMs: 1, maxMs: 5 },
    onRetry: (event) => events.push(event),
    ...options,
  });
  return { events, interceptor };
}

async function read(messages: AsyncIterable<{ readonly value: string }>): Promise<string[]> {
  const values: string[] = [];
  for await (const { value } of messages) values.push(value);
  return values;
}

describe.each(http2)("%s", (protocol) => {
  it("a call that is not idempotent is repeated after REFUSED_STREAM and a GOAWAY that leaves it out", async () => {
    await using server = await startTroubledServer(echo);
    const { events, interceptor } = recorded();
    const client = connectTo(server.port, protocol, interceptor);
    await client.set({ value: "connected" });
    server.troubles.push("refuse", "go-away");
    await expect(client.set({ value: "hello" })).resolves.toMatchObject({ value: "hello" });
    expect(events.map(({ attempt }) => attempt)).toEqual([1, 2]);
    server.troubles.push("refuse", "go-away");
    expect(await read(client.list({ value: "stream" }))).toEqual(["stream"]);
    expect([events.length, server.requests]).toEqual([4, 7]);
  });
});

describe.each(protocols)("%s", (protocol) => {
  it("a call whose connection dies under it is repeated if it is idempotent, and else not", async () => {
    await using server = await startTroubledServer(echo, { httpVersion: versionOf(protocol) });
    const { events, interceptor } = recorded();
    const client = connectTo(server.port, protocol, interceptor);
    server.troubles.push("die", "die");
    await expect(client.get({ value: "hello" })).resolves.toMatchObject({ value: "hello" });
    expect([events.length, server.requests]).toEqual([2, 3]);
    server.troubles.push("die");
    await expect(client.set({ value: "hello" })).rejects.toBeInstanceOf(ConnectError);
    await expect(client.set({ value: "again" })).resolves.toMatchObject({ value: "again" });
    expect([events.length, server.requests]).toEqual([2, 5]);
    const repeatable = connectTo(server.port, protocol, interceptor, RepeatableService);
    server.troubles.push("die");
    expect(await read(repeatable.list({ value: "stream" }))).toEqual(["stream"]);
    expect(events.length).toBe(3);
  });

  it("a refused connection is tried again, whatever the method, until somebody listens", async () => {
    const closed = await startTroubledServer(echo);
    await closed[Symbol.asyncDispose]();
    const { port } = closed;
    let server: Awaited<ReturnType<typeof startTroubledServer>> | undefined;
    const listening = Promise.withResolvers<void>();
    const clock = { now: () => 0, monotonic: () => 0, sleep: () => listening.promise };
    const interceptor = retry({
      clock,
      onRetry: async () => {
        server = await startTroubledServer(echo, { httpVersion: versionOf(protocol), port });
        listening.resolve();
      },
    });
    const client = connectTo(port, protocol, interceptor);
    try {
      await expect(client.set({ value: "hello" })).resolves.toMatchObject({ value: "hello" });
      expect(server?.requests).toBe(1);
    } finally {
      await server?.[Symbol.asyncDispose]();
    }
  });

  it("attempts have a number for the server, and its pushback decides about the next one", async () => {
    const attempts: (string | null)[] = [];
    const errors = [retryLater("busy", Code.Unavailable, 3), retryLater("gone", Code.Unavailable, Infinity)];
    const refuse = (header: Headers) => {
      attempts.push(header.get("grpc-previous-rpc-attempts"));
      throw errors[(attempts.length - 1) % 2];
    };
    await using server = await startTroubledServer(
      (router) =>
        router.service(RepeatableService, {
          get: (_, context) => refuse(context.requestHeader),
          list: (_, context) => refuse(context.requestHeader),
        }),
      { httpVersion: versionOf(protocol) },
    );
    const { events, interceptor } = recorded({ maxAttempts: 5 });
    const client = connectTo(server.port, protocol, interceptor, RepeatableService);
    await expect(client.get({})).rejects.toMatchObject({ code: Code.Unavailable, rawMessage: "gone" });
    await expect(read(client.list({}))).rejects.toMatchObject({ code: Code.Unavailable, rawMessage: "gone" });
    expect(attempts).toEqual([null, "1", null, "1"]);
    expect(events.map(({ delayMs }) => delayMs)).toEqual([3, 3]);
  });

  it("later attempts tell the server what is left of the time-out", async () => {
    const seen: number[] = [];
    await using server = await startTroubledServer(
      (router) =>
        router.service(RepeatableService, {
          get: (_, { requestHeader }) => {
            const sent = requestHeader.get("connect-timeout-ms") ?? requestHeader.get("grpc-timeout");
            seen.push(Number.parseInt(sent ?? "", 10));
            throw retryLater("busy", Code.Unavailable, 2);
          },
        }),
      { httpVersion: versionOf(protocol) },
    );
    const client = connectTo(server.port, protocol, recorded().interceptor, RepeatableService);
    await expect(client.get({}, { timeoutMs: 60_000 })).rejects.toMatchObject({ code: Code.Unavailable });
    const [first = 0, second = 0, third = 0] = seen;
    expect([first, second < first, third < second, third > 0]).toEqual([60_000, true, true, true]);
  });

  it("the time-out of the call ends a wait between attempts", async () => {
    const busy = () => {
      throw retryLater("busy", Code.Unavailable, 1);
    };
    await using server = await startTroubledServer((router) => router.service(RepeatableService, { get: busy }), {
      httpVersion: versionOf(protocol),
    });
    const { interceptor } = recorded({ clock: new FakeClock() });
    const client = connectTo(server.port, protocol, interceptor, RepeatableService);
    await expect(client.get({}, { timeoutMs: 50 })).rejects.toMatchObject({ code: Code.DeadlineExceeded });
  });
});

it("a missing socket file proves that the call did not run", async () => {
  const { events, interceptor } = recorded();
  const nodeOptions = { socketPath: "/nonexistent/cpg.sock" };
  const client = createClient(
    EchoService,
    createConnectTransport({
      baseUrl: "http://localhost",
      httpVersion: "1.1",
      nodeOptions,
      interceptors: [interceptor],
    }),
  );
  await expect(client.set({})).rejects.toMatchObject({ cause: { code: "ENOENT" } });
  expect(events.length).toBe(2);
});
