import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { createPluginClient, definePlugin } from "@cpg/core";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { createCertificates } from "./support/certificates.ts";
import { EchoService } from "./support/echo-service.ts";
import { openForwarder } from "./support/forwarder.ts";
import { echoClient, serveEcho } from "./support/started-server.ts";

function failureOf(promise: Promise<unknown>): Promise<ConnectError> {
  return promise.then(
    () => {
      throw new Error("it succeeded");
    },
    (reason: unknown) => ConnectError.from(reason),
  );
}

function portOf(endpoint: string): number {
  return Number(new URL(endpoint).port);
}

/** An HTTP/1.1 server of any kind; disposing of it ends its connections. */
async function openHttpServer(handle: (request: IncomingMessage, response: ServerResponse) => void) {
  const server: Server = createServer(handle).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** A proxy that speaks HTTP/1.1 only, on both sides. */
function openHttp1Proxy(port: number) {
  return openHttpServer((incoming, response) => {
    const { method, url, headers } = incoming;
    const onward = request({ port, host: "127.0.0.1", method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    incoming.pipe(onward);
  });
}

/** Counts the calls of each method that reach a server. */
function createCallCounter() {
  const counts = new Map<string, number>();
  const interceptor: Interceptor = (next) => (call) => {
    counts.set(call.method.name, (counts.get(call.method.name) ?? 0) + 1);
    return next(call);
  };
  return { counts, interceptor };
}

describe("options of createPluginClient", () => {
  it.each([
    { rule: "endpoint must be", options: { endpoint: "localhost:8080" } },
    { rule: "httpVersion must be", options: { httpVersion: "3" as "2" } },
    { rule: "handshakeTimeoutMs must be", options: { handshakeTimeoutMs: 0 } },
    { rule: "handshakeTimeoutMs must be", options: { handshakeTimeoutMs: Number.NaN } },
    { rule: "handshakeTimeoutMs must be", options: { handshakeTimeoutMs: Number.POSITIVE_INFINITY } },
    { rule: "magicCookie.key must be", options: { magicCookie: { key: "", value: "x" } } },
    { rule: "magicCookie.value must be", options: { magicCookie: { key: "x", value: "\0" } } },
    { rule: "appProtocolVersions must name 1 to 100", options: { appProtocolVersions: [] } },
    { rule: "appProtocolVersions must hold", options: { appProtocolVersions: [0] } },
    { rule: "selfId must match", options: { selfId: "a b" } },
    { rule: "selfVersion must have at most 64 bytes", options: { selfVersion: "v".repeat(65) } },
    { rule: "clientMetadata key must match", options: { clientMetadata: { "1": "x" } } },
    { rule: "connectTimeoutMs must be", options: { connectTimeoutMs: 0 } },
    { rule: "callTimeoutMs must be", options: { callTimeoutMs: -1 } },
    { rule: "pingIntervalMs must be", options: { pingIntervalMs: -1 } },
    { rule: "pingTimeoutMs must be", options: { pingTimeoutMs: 0 } },
    { rule: "maxMessageBytes must be", options: { maxMessageBytes: Number.NaN } },
    { rule: "protocol must be", options: { protocol: "soap" as "grpc" } },
    { rule: "tls is for an https endpoint", options: { tls: {} } },
    { rule: "tls.ca cannot be used", options: { endpoint: "https://h", tls: { ca: "x" } } },
    { rule: "tls.cert cannot be used", options: { endpoint: "https://h", tls: { cert: "x" } } },
    { rule: "tls.key cannot be used", options: { endpoint: "https://h", tls: { key: "x" } } },
    {
      rule: "tls.minVersion cannot be used",
      options: { endpoint: "https://h", tls: { minVersion: "TLSv9" as "TLSv1.3" } },
    },
    {
      rule: "tls.servername must be a string",
      options: { endpoint: "https://h", tls: { servername: JSON.parse("5") } },
    },
  ])("$rule … ($options)", ({ rule, options }) => {
    expect(() => echoClient("http://localhost:1", options)).toThrow(rule);
  });

  it("tells a certificate from a key of another", async () => {
    const { server, client } = await createCertificates();
    const tls = { cert: server.cert, key: client.key };
    expect(() => echoClient("https://localhost:1", { tls })).toThrow("tls.cert and tls.key cannot be used");
  });

  it("takes plugins as a set: no name but their own, and at least one", () => {
    expect(() => createPluginClient({ endpoint: "http://localhost:1", plugins: {} })).toThrow("at least one plugin");
  });
});

describe("connect", () => {
  it.each([
    { httpVersion: "auto" as const, expected: "2" },
    { httpVersion: "1.1" as const, expected: "1.1" },
    { httpVersion: "2" as const, expected: "2" },
  ])("uses HTTP/$expected when told $httpVersion", async ({ httpVersion, expected }) => {
    await using server = await serveEcho();
    await using client = echoClient(server.endpoint, { httpVersion });
    expect((await client.connect()).httpVersion).toBe(expected);
    expect((await (await client.dispense("echo")).unary({ text: "x" })).text).toBe("x");
  });

  it("settles on the highest common version, and tells what both sides said", async () => {
    await using server = await serveEcho({ appProtocolVersions: [1, 2, 3], serverMetadata: { region: "north" } });
    await using client = echoClient(server.endpoint, { appProtocolVersions: [2, 3, 4] });
    expect(await client.connect()).toMatchObject({ appProtocolVersion: 3, serverMetadata: { region: "north" } });
  });

  it("happens once, however many ask at once", async () => {
    const { counts, interceptor } = createCallCounter();
    await using server = await serveEcho({ interceptors: [interceptor] });
    await using client = echoClient(server.endpoint);
    const [first, second] = await Promise.all([
      client.connect(),
      client.connect(),
      client.dispense("echo"),
      client.dispense("echo"),
    ]);
    expect(second).toBe(first);
    expect(await client.connect()).toBe(first);
    expect(counts.get("Handshake")).toBe(1);
  });

  it("is tried again after a failure", async () => {
    const { counts, interceptor } = createCallCounter();
    const former = await serveEcho();
    await former.close();
    await using client = echoClient(former.endpoint);
    expect((await failureOf(client.connect())).code).toBe(Code.Unavailable);
    await using _server = await serveEcho({ interceptors: [interceptor], listen: { port: portOf(former.endpoint) } });
    await (await client.dispense("echo")).unary({});
    expect(counts.get("Handshake")).toBe(1);
  });

  it("lets one who waits give up without the others", async () => {
    const arrived = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const slowHandshake: Interceptor = (next) => async (call) => {
      arrived.resolve();
      await release.promise;
      return next(call);
    };
    await using server = await serveEcho({ interceptors: [slowHandshake] });
    await using client = echoClient(server.endpoint);
    const patience = new AbortController();
    const impatient = client.connect({ signal: patience.signal }).catch((reason: unknown) => reason);
    const patient = client.connect();
    await arrived.promise;
    const reason = new Error("enough");
    patience.abort(reason);
    expect(await impatient).toBe(reason);
    release.resolve();
    expect((await patient).appProtocolVersion).toBe(1);
  });

  it("does nothing for one who has given up before", async () => {
    await using forwarder = await openForwarder();
    await using client = echoClient(forwarder.endpoint);
    const reason = new Error("enough");
    await expect(client.connect({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(forwarder.accepted).toBe(0);
  });

  it("ends after handshakeTimeoutMs with a server that says nothing, and leaves no connection", async () => {
    const clock = new FakeClock();
    await using silent = await openForwarder();
    await using client = echoClient(silent.endpoint, { clock, handshakeTimeoutMs: 5_000 });
    const failure = failureOf(client.connect());
    await silent.held;
    await clock.advance(5_000);
    expect(await failure).toMatchObject({
      code: Code.DeadlineExceeded,
      rawMessage: `no handshake with ${silent.endpoint} within 5000 ms`,
    });
    await silent.empty();
    expect(clock.pending).toBe(0);
  });
});

describe("connect fails", () => {
  const other = definePlugin({ name: "other", version: "1.0.0", service: EchoService });

  it.each([
    {
      because: "the server knows only newer versions",
      server: { appProtocolVersions: [3, 4] },
      client: { appProtocolVersions: [1, 2] },
      code: Code.FailedPrecondition,
      says: ["3, 4", "1, 2", "upgrade the client"],
    },
    {
      because: "the server knows only older versions",
      server: { appProtocolVersions: [1] },
      client: { appProtocolVersions: [2] },
      code: Code.FailedPrecondition,
      says: ["upgrade the server"],
    },
    {
      because: "the cookies differ",
      server: { magicCookie: { key: "OTHER", value: "x" } },
      client: {},
      code: Code.InvalidArgument,
      says: ["magic_cookie_key", "OTHER"],
    },
  ])("when $because", async ({ server: serverOptions, client: clientOptions, code, says }) => {
    await using server = await serveEcho(serverOptions);
    await using client = echoClient(server.endpoint, clientOptions);
    const failure = await failureOf(client.connect());
    expect(failure.code).toBe(code);
    for (const text of says) expect(failure.message).toContain(text);
  });

  it("when the server lacks a plugin", async () => {
    await using server = await serveEcho();
    await using client = createPluginClient({ endpoint: server.endpoint, plugins: { other } });
    const failure = await failureOf(client.dispense("other"));
    expect(failure.code).toBe(Code.NotFound);
    expect(failure.message).toContain('the server lacks "other"');
  });

  it.each([
    { answer: "404", status: 404, type: "text/plain", code: Code.Unimplemented },
    { answer: "a page", status: 200, type: "text/html", code: Code.Unknown },
    { answer: "503", status: 503, type: "text/plain", code: Code.Unavailable },
  ])("when the server is no plugin server and answers $answer", async ({ status, type, code }) => {
    await using server = await openHttpServer((_, response) => {
      response.writeHead(status, { "content-type": type }).end("hello");
    });
    await using client = echoClient(server.endpoint);
    expect((await failureOf(client.connect())).code).toBe(code);
  });

  it("for a name outside the set, before any connection", async () => {
    await using forwarder = await openForwarder();
    await using client = echoClient(forwarder.endpoint);
    await expect(client.dispense("toString" as "echo")).rejects.toThrow('plugins has no "toString"; it has echo');
    expect(forwarder.accepted).toBe(0);
  });
});

describe("HTTP/2 that the server announces and the way to it does not carry", () => {
  it("is left for HTTP/1.1 behind a proxy that speaks nothing else", async () => {
    await using server = await serveEcho();
    await using proxy = await openHttp1Proxy(portOf(server.endpoint));
    await using client = echoClient(proxy.endpoint);
    expect(await client.connect()).toMatchObject({ http2: true, httpVersion: "1.1" });
    expect((await (await client.dispense("echo")).unary({ text: "x" })).text).toBe("x");
  });

  it("is left for HTTP/1.1 within the bound when what is between swallows it", async () => {
    const clock = new FakeClock();
    await using server = await serveEcho();
    await using forwarder = await openForwarder({ port: portOf(server.endpoint), hold: "PRI" });
    await using client = echoClient(forwarder.endpoint, { clock, handshakeTimeoutMs: 4_000 });
    const connecting = client.connect();
    await forwarder.held;
    await clock.advance(2_000);
    expect(await connecting).toMatchObject({ http2: true, httpVersion: "1.1" });
    expect((await (await client.dispense("echo")).unary({ text: "x" })).text).toBe("x");
  });
});

describe("close", () => {
  it("ends a connect that is under way, with its connection", async () => {
    await using silent = await openForwarder();
    const client = echoClient(silent.endpoint);
    const failures = [failureOf(client.connect()), failureOf(client.dispense("echo"))];
    await silent.held;
    await Promise.all([client.close(), client.close()]);
    for (const failure of failures) expect((await failure).code).toBe(Code.Canceled);
    await silent.empty();
  });

  it("leaves no connection when it comes while the calls change to HTTP/2", async () => {
    await using server = await serveEcho();
    await using forwarder = await openForwarder({ port: portOf(server.endpoint) });
    const closed = Promise.withResolvers<void>();
    // The call that proves HTTP/2 is over, and the connection of HTTP/1.1 is about to close.
    const closeAfterCheck: Interceptor = (next) => async (call) => {
      const answer = await next(call);
      if (call.method.name === "Check") process.nextTick(() => client.close().then(closed.resolve));
      return answer;
    };
    const client = echoClient(forwarder.endpoint, { interceptors: [closeAfterCheck] });
    expect((await failureOf(client.connect())).code).toBe(Code.Canceled);
    await closed.promise;
    await forwarder.empty();
    expect(forwarder.accepted).toBe(2);
  });

  it("is final, and ends what was dispensed", async () => {
    await using server = await serveEcho();
    await using forwarder = await openForwarder({ port: portOf(server.endpoint) });
    const client = echoClient(forwarder.endpoint);
    const echo = await client.dispense("echo");
    await client.close();
    await forwarder.empty();
    for (const late of [echo.unary({}), client.connect(), client.dispense("echo")]) {
      expect((await failureOf(late)).code).toBe(Code.Canceled);
    }
  });

  it("needs nothing to have happened", async () => {
    const client = echoClient("http://localhost:1");
    await client.close();
    await client[Symbol.asyncDispose]();
  });
});
