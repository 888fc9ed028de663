import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, Code, createClient, type ServiceImpl } from "@connectrpc/connect";
import { type Peer, peerKey } from "@cpg/resilience";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Listener, openListener } from "../src/listener/listener.ts";
import { openCallTransport } from "../src/wire/call-transport.ts";
import { parseEndpoint } from "../src/wire/endpoint.ts";
import { createRpcHandler } from "../src/wire/rpc-handler.ts";
import { createCertificates, type TestCertificates } from "./support/certificates.ts";
import { collect } from "./support/collect.ts";
import { createEcho, EchoService } from "./support/echo-service.ts";

let certificates: TestCertificates;
let directory: string;
beforeAll(async () => {
  certificates = await createCertificates();
  directory = await mkdtemp(join(tmpdir(), "cpg-listener-"));
});
afterAll(() => rm(directory, { recursive: true }));

type Network = "tcp" | "tls" | "unix";

interface Fixture extends AsyncDisposable {
  readonly echo: Client<typeof EchoService>;
  readonly listener: Listener;
  /** What nobody but the listener heard of. */
  readonly errors: readonly unknown[];
}

async function start(
  network: Network,
  httpVersion: "1.1" | "2",
  impl: Partial<ServiceImpl<typeof EchoService>> = createEcho(),
  protocol: "connect" | "grpc" | "grpc-web" = "connect",
): Promise<Fixture> {
  const { ca, server, client } = certificates;
  const errors: unknown[] = [];
  const onError = (error: unknown) => void errors.push(error);
  const listener = await openListener({
    address: network === "unix" ? { socketPath: join(directory, "echo.sock") } : { port: 0 },
    tls: network === "tls" ? { ...server, ca, requestCert: true } : undefined,
    handler: createRpcHandler({
      routes: (router) => router.service(EchoService, impl),
      fallback: (_, response) => void response.end(),
      maxMessageBytes: 100_000,
      onError,
    }),
    onError,
  });
  const calls = openCallTransport({
    endpoint: parseEndpoint(listener.endpoint),
    httpVersion,
    protocol,
    tls: network === "tls" ? { ca, ...client } : undefined,
  });
  return {
    echo: createClient(EchoService, calls.transport),
    listener,
    errors,
    async [Symbol.asyncDispose]() {
      await calls.close();
      await listener.close();
    },
  };
}

async function* texts(...all: string[]) {
  for (const text of all) yield { text };
}

describe.each(["tcp", "tls", "unix"] as const)("listener on %s", (network) => {
  describe.each(["1.1", "2"] as const)("HTTP/%s", (httpVersion) => {
    it.each(["connect", "grpc", "grpc-web"] as const)(
      "%s: unary and streams, in both directions over HTTP/2 only",
      async (protocol) => {
        await using fixture = await start(network, httpVersion, createEcho(), protocol);
        const { echo, errors, listener } = fixture;
        expect((await echo.unary({ text: "hello" })).text).toBe("hello");
        const counted = await collect(echo.serverStream({ count: 3 }));
        expect(counted.map(({ count }) => count)).toEqual([1, 2, 3]);
        expect(await echo.clientStream(texts("a", "b"))).toMatchObject({ text: "ab", count: 2 });
        const both = collect(echo.bidiStream(texts("x", "y"))).then(
          (answers) => answers.map(({ text }) => text),
          (error) => error.rawMessage,
        );
        expect(await both).toEqual({ "1.1": "HTTP 505", "2": ["x", "y"] }[httpVersion]);
        expect([errors, listener.inFlight]).toEqual([[], 0]);
      },
    );

    it("gives every call of a connection the same peer", async () => {
      const peers: (Peer | undefined)[] = [];
      await using fixture = await start(network, httpVersion, {
        unary(request, context) {
          peers.push(context.values.get(peerKey));
          return request;
        },
      });
      await fixture.echo.unary({});
      await fixture.echo.unary({});
      const [peer, again] = peers;
      expect(again).toBe(peer);
      const { address, port } = peer ?? {};
      const expected = {
        tcp: { network: "tcp", address: "127.0.0.1", port: expect.any(Number), tls: undefined },
        tls: { network: "tcp", address: "127.0.0.1", port: expect.any(Number), tls: expect.anything() },
        unix: { network: "unix", address: undefined, port: undefined, tls: undefined },
      };
      expect({ network: peer?.network, address, port, tls: peer?.tls }).toEqual(expected[network]);
    });

    it("tells the handler that its caller has gone, of a unary call and of a stream", async () => {
      const began = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const ended = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const wait = (index: number, signal: AbortSignal) => {
        signal.addEventListener("abort", () => ended[index]?.resolve(), { once: true });
        began[index]?.resolve();
        return ended[index]?.promise;
      };
      await using fixture = await start(network, httpVersion, {
        async unary(request, { signal }) {
          await wait(0, signal);
          return request;
        },
        async *serverStream(request, { signal }) {
          yield request;
          await wait(1, signal);
        },
      });
      const { echo, listener } = fixture;
      const unary = new AbortController();
      const call = echo.unary({}, { signal: unary.signal });
      await began[0]?.promise;
      unary.abort();
      await expect(call).rejects.toMatchObject({ code: Code.Canceled });
      await ended[0]?.promise;

      const stream = new AbortController();
      const streaming = collect(echo.serverStream({}, { signal: stream.signal }));
      await began[1]?.promise;
      stream.abort();
      await expect(streaming).rejects.toMatchObject({ code: Code.Canceled });
      await ended[1]?.promise;
      await listener.close();
      expect(listener.inFlight).toBe(0);
    });

    it("refuses a message over maxMessageBytes, in and out, with resource_exhausted", async () => {
      const data = new Uint8Array(100_001);
      await using fixture = await start(network, httpVersion, {
        unary: ({ count }) => (count === 1 ? { data } : {}),
      });
      const tooLarge = { code: Code.ResourceExhausted };
      await expect(fixture.echo.unary({ data })).rejects.toMatchObject(tooLarge);
      await expect(fixture.echo.unary({ count: 1 })).rejects.toMatchObject(tooLarge);
      await expect(fixture.echo.unary({})).resolves.toMatchObject({ text: "" });
    });
  });
});

describe("listener under load", { timeout: 30_000 }, () => {
  it.each(["1.1", "2"] as const)("answers 1,000 calls at a time over HTTP/%s", async (httpVersion) => {
    let open = 0;
    const all = Promise.withResolvers<void>();
    const atATime = { "1.1": 256, "2": 1_000 }[httpVersion]; // as many as the client opens
    await using fixture = await start("tcp", httpVersion, {
      async unary(request) {
        open += 1;
        if (open === atATime) all.resolve();
        await all.promise;
        return request;
      },
    });
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, (_, index) => fixture.echo.unary({ text: `${index}` })),
    );
    expect(answers.map(({ text }) => Number(text))).toEqual(Array.from({ length: 1_000 }, (_, index) => index));
    expect(fixture.errors).toEqual([]);
  });
});

describe("peer of a TLS connection", () => {
  it.each([
    ["one that is verified", () => certificates.client, true, undefined, "CN=test-client"],
    ["one of an unknown authority", () => certificates.stranger, false, /UNABLE_TO_VERIFY|ISSUER/, "CN=stranger"],
    ["none", () => ({}), false, /UNABLE_TO_GET_ISSUER_CERT/, undefined],
  ])("has the client's certificate: %s", async (_, certificate, authorized, error, subject) => {
    let peer: Peer | undefined;
    const { server, ca } = certificates;
    await using listener = await openListener({
      address: { port: 0 },
      tls: { ...server, ca, requestCert: true, rejectUnauthorized: false },
      handler: createRpcHandler({
        routes: (router) =>
          router.service(EchoService, {
            unary(request, context) {
              peer = context.values.get(peerKey);
              return request;
            },
          }),
        fallback: (_, response) => void response.end(),
      }),
    });
    const endpoint = parseEndpoint(listener.endpoint);
    const calls = openCallTransport({ endpoint, httpVersion: "2", tls: { ca, ...certificate() } });
    await createClient(EchoService, calls.transport).unary({});
    expect(peer?.tls).toMatchObject({ protocol: "TLSv1.3", authorized });
    expect(String(peer?.tls?.authorizationError)).toMatch(error ?? /^undefined$/);
    expect(peer?.tls?.certificate()?.subject).toBe(subject);
    expect(peer?.tls?.certificate()).toBe(peer?.tls?.certificate());
    await calls.close();
  });
});
