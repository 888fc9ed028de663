import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createWritableIterable } from "@connectrpc/connect/protocol";
import { openCallTransport, parseEndpoint } from "@cpg/core";
import { type HandshakeResponse, HandshakeService } from "@cpg/core/gen/connectplugin/v1/handshake_pb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BidiStreamRequestSchema } from "../../src/gen/connectrpc/conformance/v1/service_pb.ts";
import { createSelfSigned } from "../../src/self-signed.ts";
import { type CallsOptions, type ProxiedHost, startHost, startProxiedHost, withJoinKey } from "./proxied-host.ts";
import { isInstalled, type ProxyName, startProxy } from "./proxies.ts";

/** gRPC needs HTTP/2. */
const ways: readonly Required<CallsOptions>[] = [
  { httpVersion: "1.1", protocol: "connect" },
  { httpVersion: "1.1", protocol: "grpc-web" },
  { httpVersion: "2", protocol: "connect" },
  { httpVersion: "2", protocol: "grpc" },
  { httpVersion: "2", protocol: "grpc-web" },
];
const megabyte = 1024 * 1024;

/** The calls that a proxy has to carry, through the real program with the configuration that users are shown. */
export function describeProxiedCalls(name: ProxyName): void {
  const installed = isInstalled(name);
  if (!installed) console.warn(`${name} is not installed: its tests are skipped`);

  describe.skipIf(!installed)(`routed calls through ${name}`, () => {
    let scene: ProxiedHost;
    beforeAll(async () => {
      scene = await startProxiedHost(name);
    });
    afterAll(() => scene[Symbol.asyncDispose]());

    describe.each(ways)("$protocol over HTTP/$httpVersion", (way) => {
      it("answers a unary call, with headers, trailers and megabytes both ways", async () => {
        const requestData = Buffer.alloc(3 * megabyte, "large ");
        let header: Headers | undefined;
        let trailer: Headers | undefined;
        const { payload } = await scene.client(way).unary(
          { requestData },
          {
            onHeader: (received) => {
              header = received;
            },
            onTrailer: (received) => {
              trailer = received;
            },
          },
        );
        expect(requestData.equals(payload?.data ?? new Uint8Array())).toBe(true);
        expect([header?.get("x-head"), trailer?.get("x-tail")]).toEqual(["first", "last"]);
      });

      it("answers with an error, its code and its message", async () => {
        scene.provider.serverStream = async function* () {
          yield Buffer.from("before");
          throw new ConnectError("enough", Code.ResourceExhausted);
        };
        const seen: string[] = [];
        const call = (async () => {
          for await (const { payload } of scene.client(way).serverStream({})) seen.push(String(payload?.data));
        })();
        await expect(call).rejects.toMatchObject({ code: Code.ResourceExhausted, rawMessage: "enough" });
        expect(seen).toHaveLength(1);
      });

      it("passes each message of a server stream on when it is sent", async () => {
        const released = Array.from({ length: 3 }, () => Promise.withResolvers<void>());
        scene.provider.serverStream = async function* () {
          for (const [index, { promise }] of released.entries()) {
            yield Buffer.from([index]);
            await promise; // nothing more is sent before the caller has it
          }
        };
        let trailer: Headers | undefined;
        const seen: number[] = [];
        const responses = scene.client(way).serverStream(
          {},
          {
            onTrailer: (received) => {
              trailer = received;
            },
          },
        );
        for await (const { payload } of responses) {
          const index = payload?.data[0] ?? -1;
          seen.push(index);
          released[index]?.resolve();
        }
        expect(seen).toEqual([0, 1, 2]);
        expect(trailer?.get("x-tail")).toBe("last");
      });

      it("passes a server stream of many megabytes on whole", async () => {
        scene.provider.serverStream = async function* () {
          for (let index = 0; index < 16; index++) yield Buffer.alloc(megabyte, index);
        };
        let bytes = 0;
        for await (const { payload } of scene.client(way).serverStream({})) bytes += payload?.data.length ?? 0;
        expect(bytes).toBe(16 * megabyte);
      });

      it("passes each message of a client stream on when it is sent", async () => {
        let arrived = Promise.withResolvers<void>();
        scene.provider.onClientMessage = () => arrived.resolve();
        const messages = async function* () {
          for (let index = 0; index < 3; index++) {
            arrived = Promise.withResolvers();
            yield { requestData: Buffer.alloc(100, index) };
            await arrived.promise; // nothing more is sent before the provider has it
          }
        };
        const { payload } = await scene.client(way).clientStream(messages());
        expect(Buffer.from(payload?.data ?? []).toString()).toBe("300");
      });

      it("tells the provider that its caller has gone", async () => {
        const gone = Promise.withResolvers<void>();
        scene.provider.serverStream = async function* (_request, { signal }) {
          signal.addEventListener("abort", () => gone.resolve(), { once: true });
          yield Buffer.from("first");
          await gone.promise;
        };
        const abort = new AbortController();
        const call = (async () => {
          for await (const _ of scene.client(way).serverStream({}, { signal: abort.signal }))
            abort.abort("seen enough");
        })();
        await expect(call).rejects.toMatchObject({ code: Code.Canceled });
        await gone.promise;
      });
    });

    it.each(ways.filter(({ httpVersion }) => httpVersion === "2"))(
      "$protocol over HTTP/$httpVersion streams in both directions at once",
      async (way) => {
        scene.provider.bidiStream = async function* (requests) {
          for await (const { requestData } of requests) yield requestData;
        };
        const requests = createWritableIterable<MessageInitShape<typeof BidiStreamRequestSchema>>();
        const responses = scene.client(way).bidiStream(requests)[Symbol.asyncIterator]();
        for (let index = 0; index < 5; index++) {
          const written = requests.write({ requestData: Buffer.from([index]) });
          const { value } = await responses.next();
          expect([...(value?.payload?.data ?? [])]).toEqual([index]);
          await written;
        }
        requests.close();
        expect((await responses.next()).done).toBe(true);
      },
    );

    it("gives an identity only to a peer that proves itself, as all come from the proxy", async () => {
      const shakeHands = (interceptors: Interceptor[]) => handshake(scene.proxy.url, scene.ca, interceptors);
      await expect(shakeHands([])).rejects.toMatchObject({ code: Code.PermissionDenied });
      expect((await shakeHands([withJoinKey])).runtimeId).toContain("newcomer-");
    });

    it("makes a caller of the proxy a stranger to a host that admits its own machine", async () => {
      await using host = await startHost({});
      const tls = await createSelfSigned();
      const proxy = await startProxy(name, Number(new URL(host.endpoint).port), tls);
      try {
        await expect(handshake(proxy.url, tls.cert, [])).rejects.toThrow("x-forwarded");
      } finally {
        await proxy.close();
      }
    });
  });
}

async function handshake(url: string, ca: string, interceptors: readonly Interceptor[]): Promise<HandshakeResponse> {
  const calls = openCallTransport({ endpoint: parseEndpoint(url), httpVersion: "2", tls: { ca }, interceptors });
  try {
    return await createClient(HandshakeService, calls.transport).handshake({
      coreProtocolVersion: 1,
      appProtocolVersion: 1,
      magicCookieKey: "CONNECT_PLUGIN",
      magicCookieValue: "d3f40b3c2e1a5f8b9c4d7e6a1b2c3d4e",
      selfId: "newcomer",
    });
  } finally {
    await calls.close();
  }
}
