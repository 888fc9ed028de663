import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { policyInterceptor } from "@cpg/resilience";
import {
  ConsecutiveBreaker,
  ConstantBackoff,
  circuitBreaker,
  handleAll,
  handleWhen,
  retry,
  TimeoutStrategy,
  timeout,
  wrap,
} from "cockatiel";
import { describe, expect, it } from "vitest";
import { EchoService } from "./fixtures/echo-service.ts";

async function startServer() {
  let calls = 0;
  const failTwice = () => {
    calls += 1;
    if (calls <= 2) throw new ConnectError("not yet", Code.Unavailable);
  };
  const server = createServer(
    connectNodeAdapter({
      routes: ({ service }) => {
        service(EchoService, {
          get({ value }) {
            failTwice();
            return { value };
          },
          async *list({ value }) {
            failTwice();
            yield { value };
            yield { value: "end" };
          },
          async upload(messages) {
            const values: string[] = [];
            for await (const { value } of messages) values.push(value);
            failTwice();
            return { value: values.join() };
          },
          async *chat(messages) {
            for await (const { value } of messages) yield { value };
          },
        });
      },
    }),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  const isUnavailable = (reason: unknown) => ConnectError.from(reason).code === Code.Unavailable;
  const policy = wrap(
    timeout(60_000, TimeoutStrategy.Aggressive),
    retry(handleWhen(isUnavailable), { maxAttempts: 3, backoff: new ConstantBackoff(1) }),
    circuitBreaker(handleAll, { halfOpenAfter: 60_000, breaker: new ConsecutiveBreaker(10) }),
  );
  const interceptors = [policyInterceptor(policy)];
  const client = createClient(EchoService, createGrpcTransport({ baseUrl, sessionManager, interceptors }));
  const close = async () => {
    sessionManager.abort();
    await new Promise((resolve) => server.close(resolve));
  };
  return { client, calls: () => calls, close };
}

const words = async function* (...values: string[]) {
  for (const value of values) yield { value };
};

async function read(messages: AsyncIterable<{ readonly value: string }>): Promise<string[]> {
  const values: string[] = [];
  for await (const { value } of messages) values.push(value);
  return values;
}

describe("policyInterceptor over sockets, with timeout, retry and circuit breaker of cockatiel", () => {
  it("a unary call that fails twice succeeds", async () => {
    const { client, calls, close } = await startServer();
    expect(await client.get({ value: "hello" })).toMatchObject({ value: "hello" });
    expect(calls()).toBe(3);
    await close();
  });

  it("a server stream too", async () => {
    const { client, calls, close } = await startServer();
    expect(await read(client.list({ value: "hello" }))).toEqual(["hello", "end"]);
    expect(calls()).toBe(3);
    await close();
  });

  it("a request stream is not sent again, and fails with the code that it failed with", async () => {
    const { client, calls, close } = await startServer();
    const error = await client.upload(words("a", "b")).catch((reason: unknown) => ConnectError.from(reason));
    expect(error).toMatchObject({ code: Code.Unavailable, rawMessage: expect.stringContaining("requestSourceKey") });
    expect(calls()).toBe(1);
    await close();
  });

  it("a bidirectional stream goes both ways", async () => {
    const { client, close } = await startServer();
    expect(await read(client.chat(words("a", "b", "c")))).toEqual(["a", "b", "c"]);
    await close();
  });
});
