import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { createPluginClient, type PluginClientOptions, type ServeOptions, staticEndpoints } from "@cpg/core";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { createCertificates } from "./support/certificates.ts";
import { FakeDiscovery } from "./support/fake-discovery.ts";
import { openForwarder } from "./support/forwarder.ts";
import { type EchoPlugins, echo, serveEcho } from "./support/started-server.ts";

/** An echo server that writes down the method of each call. */
async function serveNoting(options: Partial<ServeOptions<EchoPlugins>> = {}) {
  const calls: string[] = [];
  const note: Interceptor = (next) => (request) => {
    calls.push(request.method.name);
    return next(request);
  };
  const server = await serveEcho({ graceMs: 0, interceptors: [note], ...options });
  return {
    server,
    endpoint: server.endpoint,
    calls,
    echoed: () => calls.filter((name) => name !== "Handshake" && name !== "Check"),
    /** Resolves when clients in this process have seen their connections close, too. */
    async close() {
      await server.close();
      await polled();
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
}

function clientOf(
  endpoint: PluginClientOptions<EchoPlugins>["endpoint"],
  options: Partial<PluginClientOptions<EchoPlugins>> = {},
) {
  return createPluginClient<EchoPlugins>({ endpoint, plugins: { echo }, ...options });
}

const versions = [{ httpVersion: "1.1" as const }, { httpVersion: "2" as const }];

describe("a client with several endpoints", () => {
  it.each([
    { rule: "endpoints must be a list of 1 to 100", endpoint: [] },
    { rule: "endpoints[1] must be http", endpoint: ["http://h", "h:1"] },
    { rule: "endpoints[1] is there twice", endpoint: ["http://h", "http://h:80"] },
  ])("$rule", ({ rule, endpoint }) => {
    expect(() => clientOf(endpoint)).toThrow(rule);
  });

  it("does not call in cleartext what its tls is for", async () => {
    expect(() => clientOf(["https://h", "http://h"], { tls: {} })).toThrow("tls is for an https endpoint");
    await using server = await serveNoting();
    await using client = clientOf(new FakeDiscovery([server.endpoint]), { tls: {} });
    await expect(client.connect()).rejects.toThrow("tls is for an https endpoint");
    expect(server.calls).toEqual([]);
  });

  it("uses the first, and the next when that cannot be reached", async () => {
    const gone = await serveNoting();
    await gone.close();
    await using first = await serveNoting();
    await using second = await serveNoting();
    await using client = clientOf([gone.endpoint, first.endpoint, second.endpoint]);
    expect((await client.connect()).endpoint).toBe(first.endpoint);
    await (await client.dispense("echo")).unary({});
    expect(first.echoed()).toEqual(["Unary"]);
    expect(second.calls).toEqual([]);
  });

  it.each(versions)(
    "sends all kinds of calls to the next over HTTP/$httpVersion, through one typed client",
    async (v) => {
      const first = await serveNoting();
      await using second = await serveNoting();
      await using client = clientOf([first.endpoint, second.endpoint], v);
      const plugin = await client.dispense("echo");
      expect((await plugin.unary({ text: "1" })).text).toBe("1");
      await first.close();
      expect((await plugin.unary({ text: "2" })).text).toBe("2");
      expect((await client.connect()).endpoint).toBe(second.endpoint);
      expect(second.calls.filter((name) => name === "Handshake")).toHaveLength(1);
      expect([first.echoed(), second.echoed()]).toEqual([["Unary"], ["Unary"]]);
    },
  );

  it.each([
    ...versions.map((v) => ({ ...v, kind: "server stream" as const })),
    ...versions.map((v) => ({ ...v, kind: "client stream" as const })),
    { httpVersion: "2" as const, kind: "bidi stream" as const },
  ])("sends the whole of a $kind to the next over HTTP/$httpVersion", async ({ httpVersion, kind }) => {
    const first = await serveNoting();
    await using second = await serveNoting();
    await using client = clientOf([first.endpoint, second.endpoint], { httpVersion });
    const plugin = await client.dispense("echo");
    await first.close();
    const input = async function* () {
      yield { text: "a" };
      yield { text: "b" };
    };
    const calls = {
      "server stream": () => texts(plugin.serverStream({ text: "a", count: 2 })),
      "client stream": async () => [(await plugin.clientStream(input())).text],
      "bidi stream": () => texts(plugin.bidiStream(input())),
    };
    const expected = { "server stream": ["a", "a"], "client stream": ["ab"], "bidi stream": ["a", "b"] };
    expect(await calls[kind]()).toEqual(expected[kind]);
    expect(second.echoed()).toHaveLength(1);
  });

  it("does not send again what may have been processed", async () => {
    const arrived = Promise.withResolvers<void>();
    const hang: Interceptor = (next) => async (request) => {
      if (request.method.name !== "Unary") return next(request);
      arrived.resolve();
      return await new Promise<never>((_, reject) => {
        request.signal.addEventListener("abort", () => reject(request.signal.reason), { once: true });
      });
    };
    await using first = await serveNoting({ interceptors: [hang] });
    await using forwarder = await openForwarder({ port: Number(new URL(first.endpoint).port) });
    await using second = await serveNoting();
    await using client = clientOf([forwarder.endpoint, second.endpoint], { httpVersion: "1.1" });
    const plugin = await client.dispense("echo");
    const lost = plugin.unary({}).catch((reason: unknown) => ConnectError.from(reason));
    await arrived.promise;
    await forwarder[Symbol.asyncDispose]();
    expect(await lost).toMatchObject({ code: Code.Unavailable });
    expect(second.calls).toEqual([]);
    await plugin.unary({});
    expect(second.echoed()).toEqual(["Unary"]);
  });

  it("stays with the one that works when the first is back", async () => {
    const first = await serveNoting();
    await using second = await serveNoting();
    await using client = clientOf([first.endpoint, second.endpoint]);
    const plugin = await client.dispense("echo");
    await first.close();
    await plugin.unary({});
    await using again = await serveNoting({ listen: { port: Number(new URL(first.endpoint).port) } });
    await plugin.unary({});
    expect(again.calls).toEqual([]);
    expect(second.echoed()).toEqual(["Unary", "Unary"]);
  });

  it("comes back to one that failed when nothing else works", async () => {
    const first = await serveNoting();
    const second = await serveNoting();
    await using client = clientOf([first.endpoint, second.endpoint]);
    const plugin = await client.dispense("echo");
    await first.close();
    await plugin.unary({});
    await using again = await serveNoting({ listen: { port: Number(new URL(first.endpoint).port) } });
    await second.close();
    await plugin.unary({});
    expect(again.echoed()).toEqual(["Unary"]);
  });

  it("fails with what happened at each when none works, and tries all again", async () => {
    const first = await serveNoting();
    const second = await serveNoting();
    await Promise.all([first.close(), second.close()]);
    await using client = clientOf([first.endpoint, second.endpoint]);
    const failure = await client.connect().catch((reason: unknown) => ConnectError.from(reason));
    expect(failure).toMatchObject({ code: Code.Unavailable, cause: { errors: [{}, {}] } });
    expect(String(failure)).toContain(first.endpoint);
    expect(String(failure)).toContain(second.endpoint);
    await using again = await serveNoting({ listen: { port: Number(new URL(second.endpoint).port) } });
    expect((await client.connect()).endpoint).toBe(again.endpoint);
  });

  it("shakes hands with the next when one does not answer in time", async () => {
    const clock = new FakeClock();
    await using silent = await openForwarder();
    await using server = await serveNoting();
    await using client = clientOf([silent.endpoint, server.endpoint], { clock, handshakeTimeoutMs: 3_000 });
    const connecting = client.connect();
    await silent.held;
    await clock.advance(3_000);
    expect((await connecting).endpoint).toBe(server.endpoint);
    await silent.empty();
  });

  it("asks the next server for the version that the first one settled", async () => {
    const first = await serveNoting({ appProtocolVersions: [1, 2] });
    await using second = await serveNoting({ appProtocolVersions: [2, 3] });
    await using client = clientOf([first.endpoint, second.endpoint], { appProtocolVersions: [1, 2, 3] });
    expect((await client.connect()).appProtocolVersion).toBe(2);
    const plugin = await client.dispense("echo");
    await first.close();
    await plugin.unary({});
    expect((await client.connect()).appProtocolVersion).toBe(2);
  });

  it("keeps a call within its time-out while it looks for an endpoint", async () => {
    const clock = new FakeClock();
    const first = await serveNoting();
    await using silent = await openForwarder();
    await using client = clientOf([first.endpoint, silent.endpoint], { clock });
    const plugin = await client.dispense("echo");
    await first.close();
    const call = plugin.unary({}, { timeoutMs: 1_000 }).catch((reason: unknown) => ConnectError.from(reason));
    await silent.held;
    await clock.advance(1_000);
    expect(await call).toMatchObject({ code: Code.DeadlineExceeded });
  });

  it("goes to another when TLS with the one in use fails, without sending the call again", async () => {
    const { ca, server: good } = await createCertificates();
    const strangers = await createCertificates();
    const first = await serveNoting({ tls: good });
    await using second = await serveNoting({ tls: good });
    await using client = clientOf([first.endpoint, second.endpoint], { tls: { ca }, httpVersion: "2" });
    const plugin = await client.dispense("echo");
    await first.close();
    const port = Number(new URL(first.endpoint).port);
    await using _stranger = await serveNoting({ tls: strangers.server, listen: { port } });
    await expect(plugin.unary({})).rejects.toThrow("TLS handshake");
    await plugin.unary({});
    expect(second.echoed()).toEqual(["Unary"]);
  });
});

describe("a client with a discovery", () => {
  it("uses what is discovered", async () => {
    await using server = await serveNoting();
    await using client = clientOf(staticEndpoints([server.endpoint]));
    await (await client.dispense("echo")).unary({});
    expect(server.echoed()).toEqual(["Unary"]);
  });

  it("leaves an endpoint that is no longer named: calls in flight finish there, others go elsewhere", async () => {
    await using first = await serveNoting();
    await using second = await serveNoting();
    const discovery = new FakeDiscovery([first.endpoint]);
    await using client = clientOf(discovery);
    const plugin = await client.dispense("echo");
    const more = Promise.withResolvers<void>();
    const stream = plugin.bidiStream(
      (async function* () {
        yield { text: "a" };
        await more.promise;
        yield { text: "b" };
      })(),
    );
    const reader = stream[Symbol.asyncIterator]();
    expect((await reader.next()).value?.text).toBe("a");
    await change(discovery, [second.endpoint]);
    await plugin.unary({});
    expect(second.echoed()).toEqual(["Unary"]);
    more.resolve();
    expect((await reader.next()).value?.text).toBe("b");
    expect((await reader.next()).done).toBe(true);
    await first.server.close({ graceMs: 60_000 }); // the connection closed with the stream
  });

  it("stays where it is when discovery names nothing, or fails", async () => {
    const first = await serveNoting();
    await using second = await serveNoting();
    const discovery = new FakeDiscovery([first.endpoint, second.endpoint]);
    await using client = clientOf(discovery);
    const plugin = await client.dispense("echo");
    await change(discovery, []);
    await plugin.unary({});
    expect(first.echoed()).toEqual(["Unary"]);
    discovery.fail(new Error("no answer"));
    await first.close();
    await plugin.unary({});
    expect(second.echoed()).toEqual(["Unary"]);
  });

  it.each([
    { what: "names nothing", make: () => new FakeDiscovery([]), says: "discovery knows no endpoint" },
    {
      what: "fails",
      make: () => {
        const discovery = new FakeDiscovery([]);
        discovery.fail(new Error("who knows"));
        return discovery;
      },
      says: "who knows",
    },
  ])("fails with unavailable when discovery $what", async ({ make, says }) => {
    await using client = clientOf(make());
    const failure = await client.connect().catch((reason: unknown) => reason);
    expect(failure).toMatchObject({ code: Code.Unavailable, rawMessage: says });
  });

  it("asks it no more than once while the watch tells, unless what that told did not help", async () => {
    const first = await serveNoting();
    const second = await serveNoting();
    const discovery = new FakeDiscovery([first.endpoint, second.endpoint]);
    await using client = clientOf(discovery);
    const plugin = await client.dispense("echo");
    await first.close();
    await plugin.unary({});
    expect(discovery.asked).toBe(1);
    await second.close();
    await expect(plugin.unary({})).rejects.toThrow("none of 2 endpoints works");
    await expect(plugin.unary({})).rejects.toThrow("none of 2 endpoints works");
    expect(discovery.asked).toBe(2);
  });

  it("ends its watch when it is closed", async () => {
    await using server = await serveNoting();
    const discovery = new FakeDiscovery([server.endpoint]);
    const client = clientOf(discovery);
    await client.connect();
    expect(discovery.watching).toBe(1);
    await client.close();
    await Promise.resolve();
    expect(discovery.watching).toBe(0);
  });
});

async function texts(messages: AsyncIterable<{ readonly text: string }>): Promise<string[]> {
  const all: string[] = [];
  for await (const { text } of messages) all.push(text);
  return all;
}

/** Resolves when what sockets of this process have received so far was handed to their listeners. */
async function polled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Resolves when the watch has taken in the change. */
function change(discovery: FakeDiscovery, endpoints: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    discovery.onTaken = resolve;
    discovery.set(endpoints);
  });
}
