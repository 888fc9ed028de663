import { once } from "node:events";
import { createServer } from "node:net";
import type { HostExtension, ServeOptions } from "@cpg/core";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { type EchoPlugins, echoClient, serveEcho } from "./support/started-server.ts";

type Options = Partial<ServeOptions<EchoPlugins>>;

// An unhandled rejection or exception in any of these tests fails the whole run.

/** An extension that writes down when it is shut down. */
function logged(name: string, log: string[]): HostExtension {
  return { name, install: () => ({ shutdown: () => void log.push(name) }) };
}

function failing(name: string): HostExtension {
  return {
    name,
    install() {
      throw new Error(`${name} failed`);
    },
  };
}

describe("serve refuses", () => {
  const cases: { rule: string; options: Options }[] = [
    { rule: "publicUrl must be http", options: { publicUrl: "example.org" } },
    { rule: "publicUrl must not contain a query", options: { publicUrl: "https://example.org/?x" } },
    { rule: "link.hostUrl must be http", options: { link: { hostUrl: "example.org" } } },
    { rule: "link.baseUrl must be http", options: { link: { baseUrl: "example.org" } } },
    { rule: "maxMessageBytes must be", options: { maxMessageBytes: 0 } },
    { rule: "maxMessageBytes must be", options: { maxMessageBytes: Number.NaN } },
    { rule: "maxResponseBytes must be", options: { maxResponseBytes: -1 } },
    { rule: "magicCookie.key must be", options: { magicCookie: { key: "", value: "x" } } },
    { rule: "appProtocolVersions must name", options: { appProtocolVersions: [] } },
    { rule: "identityTtlMs must be", options: { identityTtlMs: 0 } },
    { rule: "graceMs must be", options: { graceMs: Number.POSITIVE_INFINITY } },
    { rule: "pluginInterceptors.ecco has no plugin", options: { pluginInterceptors: JSON.parse('{"ecco": []}') } },
    { rule: "listen must be", options: { listen: JSON.parse("8080") } },
    { rule: "tls.cert cannot be used", options: { tls: { cert: "x", key: "y" } } },
    { rule: "tls.ca cannot be used", options: { tls: { cert: "x", key: "y", ca: "z" } } },
  ];
  it.each(cases)("$rule … ($options)", async ({ rule, options }) => {
    const log: string[] = [];
    await expect(serveEcho({ ...options, extensions: [logged("first", log)] })).rejects.toThrow(rule);
    expect(["", "first"]).toContain(log.join());
  });
});

describe("serve that fails half way", () => {
  it("shuts down the extensions that were installed", async () => {
    const log: string[] = [];
    const extensions = [logged("first", log), logged("second", log), failing("third"), logged("fourth", log)];
    await expect(serveEcho({ extensions })).rejects.toThrow("third failed");
    expect(log).toEqual(["second", "first"]);
  });

  it("because the port is taken shuts them down, too", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    const log: string[] = [];
    await expect(serveEcho({ listen: { port }, extensions: [logged("first", log)] })).rejects.toThrow("EADDRINUSE");
    expect(log).toEqual(["first"]);
    other.close();
  });
});

describe("publicUrl", () => {
  it("loses its last slash, so that paths can be appended", async () => {
    await using server = await serveEcho({ publicUrl: "https://example.org/plugins/" });
    expect(server.publicUrl).toBe("https://example.org/plugins");
  });
});

describe("a hook that fails harms nobody", () => {
  const onErrors: { name: string; onError: (error: unknown) => void }[] = [
    {
      name: "throws",
      onError() {
        throw new Error("onError");
      },
    },
    { name: "rejects", onError: () => Promise.reject(new Error("onError")) },
  ];

  it.each(onErrors)("onError that $name", async ({ onError }) => {
    const server = await serveEcho({
      onError,
      httpRoutes: [
        { path: "/rejects", handle: () => Promise.reject(new Error("route")) },
        {
          path: "/throws",
          handle() {
            throw new Error("route");
          },
        },
      ],
    });
    for (const path of ["/rejects", "/throws"]) {
      expect((await fetch(`${server.endpoint}${path}`)).status).toBe(500);
    }
    server.health.onChange(() => {
      throw new Error("listener");
    });
    await server.close();
  });

  const contextHooks: { name: string; contextValues: () => void }[] = [
    {
      name: "throws",
      contextValues() {
        throw new Error("contextValues");
      },
    },
    { name: "rejects", contextValues: () => Promise.reject(new Error("contextValues")) },
    { name: "is late", contextValues: async () => {} },
  ];

  it.each(contextHooks)("contextValues that $name fails its call alone", async ({ contextValues }) => {
    const errors: string[] = [];
    await using server = await serveEcho({ contextValues, onError: (error) => errors.push(String(error)) });
    const answer = await fetch(`${server.endpoint}/cpg.test.v1.EchoService/Unary`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect(answer.status).toBe(500);
    expect(errors.join()).toContain("contextValues");
    expect((await fetch(`${server.endpoint}/healthz`)).status).toBe(200);
  });

  it("handshakeFacts that throws fails the handshake, and says nothing of why", async () => {
    const extension: HostExtension = {
      name: "facts",
      install: () => ({
        handshakeFacts() {
          throw new Error("secret detail");
        },
      }),
    };
    await using server = await serveEcho({ extensions: [extension] });
    await using client = echoClient(server.endpoint);
    const failure: Error = await client.connect().then(
      () => new Error("it succeeded"),
      (reason) => reason,
    );
    expect(failure.message).toContain("no usable answer");
    expect(failure.message).not.toContain("secret");
  });

  it("a route that fails after it set headers answers a whole 500", async () => {
    await using server = await serveEcho({
      httpRoutes: [
        {
          path: "/half",
          handle(_, response) {
            response.setHeader("content-length", 3);
            response.setHeader("content-encoding", "gzip");
            throw new Error("half way");
          },
        },
      ],
    });
    const answer = await fetch(`${server.endpoint}/half`);
    expect([answer.status, await answer.text()]).toEqual([500, "internal error\n"]);
  });

  it("a route may return what it likes", async () => {
    // As a program without types may have it: `(request, response) => response.end("x")`.
    const handle: (...call: Parameters<NonNullable<Options["httpRoutes"]>[number]["handle"]>) => void = (_, response) =>
      response.end("x");
    await using server = await serveEcho({ httpRoutes: [{ path: "/any", handle }] });
    expect(await (await fetch(`${server.endpoint}/any`)).text()).toBe("x");
  });
});

describe("close", () => {
  it("does not wait for ever for an extension", async () => {
    const clock = new FakeClock();
    const log: string[] = [];
    const entered = Promise.withResolvers<void>();
    const shutdown = () => {
      entered.resolve();
      return new Promise<void>(() => {});
    };
    const stuck: HostExtension = { name: "stuck", install: () => ({ shutdown }) };
    const server = await serveEcho({ clock, extensions: [logged("first", log), stuck] });
    const closing = server.close({ graceMs: 0 }).catch((reason: unknown) => reason);
    await entered.promise;
    await clock.advance(60_000);
    const failure = await closing;
    expect(failure).toBeInstanceOf(AggregateError);
    expect((failure as AggregateError).errors.map(String)).toEqual([
      'Error: extension "stuck" did not shut down within 60000 ms',
    ]);
    await server.closed;
    expect(log).toEqual(["first"]);
    expect(clock.pending).toBe(0);
  });

  it("refuses a grace without end", async () => {
    await using server = await serveEcho();
    expect(() => server.close({ graceMs: Number.POSITIVE_INFINITY })).toThrow("graceMs must be");
    expect(server.draining.aborted).toBe(false);
  });

  it("inside a handler is over at the end of the grace", async () => {
    const server = await serveEcho({
      impls: {
        echo: {
          unary: async (_, { signal }) => {
            void server.close({ graceMs: 0 });
            await once(signal, "abort");
            throw signal.reason;
          },
          serverStream: async function* () {},
          clientStream: async () => ({}),
          bidiStream: async function* () {},
        },
      },
    });
    await using client = echoClient(server.endpoint);
    await expect((await client.dispense("echo")).unary({})).rejects.toThrow();
    await server.closed;
  });
});
