import { once } from "node:events";
import { createServer, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, createClient, type HandlerContext } from "@connectrpc/connect";
import {
  connectNodeAdapter,
  createConnectTransport,
  createGrpcTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { hedging } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { EchoService } from "./fixtures/echo-service.ts";

/** A server whose first call of each kind hangs until it is aborted. */
async function startServer() {
  const attempts: (string | null)[] = [];
  let cancelled: () => void = () => {};
  const loserEnded = new Promise<void>((resolve) => {
    cancelled = resolve;
  });
  let began: () => void = () => {};
  const firstBegan = new Promise<void>((resolve) => {
    began = resolve;
  });
  const hangOnce = async ({ requestHeader, signal }: HandlerContext) => {
    attempts.push(requestHeader.get("grpc-previous-rpc-attempts"));
    if (attempts.length > 1) return;
    began();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    cancelled();
  };
  const server: Http2Server = createServer(
    connectNodeAdapter({
      routes: ({ service }) => {
        service(EchoService, {
          async get({ value }, context) {
            await hangOnce(context);
            return { value };
          },
          async *list({ value }, context) {
            await hangOnce(context);
            yield { value };
            yield { value: "end" };
          },
        });
      },
    }),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  const close = async () => {
    sessionManager.abort();
    await new Promise((resolve) => server.close(resolve));
  };
  return { attempts, firstBegan, loserEnded, options: { baseUrl, sessionManager, httpVersion: "2" as const }, close };
}

describe.each([
  { protocol: "Connect", create: createConnectTransport },
  { protocol: "gRPC", create: createGrpcTransport },
])("hedging over sockets, $protocol", ({ create }) => {
  it("the second attempt answers, the server sees the first one end, a late end causes nothing", async () => {
    const { attempts, firstBegan, loserEnded, options, close } = await startServer();
    const clock = new FakeClock();
    const interceptors = [hedging({ delayMs: 50, maxShare: 1, clock })];
    const client = createClient(EchoService, create({ ...options, interceptors }));
    const call = client.get({ value: "hello" });
    await firstBegan;
    await clock.advance(50);
    expect(await call).toMatchObject({ value: "hello" });
    await loserEnded;
    expect([attempts, clock.pending]).toEqual([[null, "1"], 0]);
    await close();
  });

  it("a server stream: the attempt with the first message goes on, the other ends", async () => {
    const { attempts, firstBegan, loserEnded, options, close } = await startServer();
    const clock = new FakeClock();
    const interceptors = [hedging({ delayMs: 50, maxShare: 1, hedgeIf: () => true, clock })];
    const client = createClient(EchoService, create({ ...options, interceptors }));
    const reading = (async () => {
      const values: string[] = [];
      for await (const { value } of client.list({ value: "hello" })) values.push(value);
      return values;
    })();
    await firstBegan;
    await clock.advance(50);
    expect(await reading).toEqual(["hello", "end"]);
    await loserEnded;
    expect(attempts).toEqual([null, "1"]);
    await close();
  });

  it("the caller's abort ends all attempts", async () => {
    const { firstBegan, loserEnded, options, close } = await startServer();
    const interceptors = [hedging({ delayMs: 50, maxShare: 1, clock: new FakeClock() })];
    const client = createClient(EchoService, create({ ...options, interceptors }));
    const controller = new AbortController();
    const call = client.get({}, { signal: controller.signal }).catch((reason: unknown) => ConnectError.from(reason));
    await firstBegan;
    controller.abort(new ConnectError("enough", Code.Canceled));
    expect(await call).toMatchObject({ code: Code.Canceled, rawMessage: "enough" });
    await loserEnded;
    await close();
  });
});
