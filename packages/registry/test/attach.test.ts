import { Code, ConnectError, createClient, type ServiceImpl } from "@connectrpc/connect";
import { definePlugin, openCallTransport, parseEndpoint, serve } from "@cpg/core";
import { ServiceRegistry } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { describe, expect, it } from "vitest";
import type { AttachOptions } from "../src/attach/attach-options.ts";
import { startAttachHost } from "./support/attach-host.ts";
import { foreignServices, startForeign } from "./support/foreign-plugin.ts";
import { RelayService } from "./support/relay-service.ts";

const token = "a secret of 32 characters or more";
const relay = definePlugin({
  name: "relay",
  version: "1.2.0",
  service: RelayService,
  provides: [{ type: "relay", version: "1.2.0" }],
  requires: [{ type: "logger" }],
});

/** A plugin of ours that waits for its host. */
function servePlugin(baseUrl?: string) {
  return serve({
    plugins: { relay },
    impls: { relay: {} as ServiceImpl<typeof RelayService> },
    listen: { port: 0 },
    control: { token },
    link: { ...(baseUrl !== undefined && { baseUrl }), backoff: { initialMs: 10, maxMs: 50 } },
    environment: {},
    handleSignals: false,
  });
}

type Host = Awaited<ReturnType<typeof startAttachHost>>;

function provided(host: Host, type: string): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (host.store.ofType(type).length === 0) return;
      stop();
      resolve();
    };
    const stop = host.store.onChange(look);
    look();
  });
}

/** What has to hold after an attach that failed. */
function expectNothingLeft(host: Host): void {
  expect(host.registered()).toEqual([]);
  expect(host.identities.size).toBe(0);
  expect(host.errors).toEqual([]);
}

async function refusalOf(attempt: Promise<unknown>): Promise<ConnectError> {
  return await attempt.then(
    () => new ConnectError("nothing refused it", Code.Unknown),
    (error: unknown) => ConnectError.from(error),
  );
}

describe("a plugin of ours", () => {
  it("takes its identity, registers itself, and is called where the host knows it to be", async () => {
    await using host = await startAttachHost();
    await using plugin = await servePlugin("http://192.0.2.1:1");
    const attached = await host.attacher.attach(plugin.endpoint, { controlToken: token, registerWaitMs: 60_000 });
    expect(attached.identity.selfId).toBe("relay");
    expect(attached.identity.declares?.requires.map(({ type }) => type)).toEqual(["logger"]);
    expect(attached.info).toMatchObject({ selfId: "relay", selfVersion: "1.2.0", metadata: { name: "relay" } });
    expect(host.registered()).toEqual([`relay 1.2.0 relay /${RelayService.typeName}/`]);
    const [registration] = host.store.ofType("relay");
    // That it was the plugin who registered, its metadata shows.
    expect(registration?.metadata).toEqual({ base_url: "http://192.0.2.1:1" });
    expect(registration?.upstream).toMatchObject({ address: "127.0.0.1", port: Number(new URL(plugin.endpoint).port) });
    expect(registration?.providerId).toBe(attached.identity.runtimeId);
    expect(await attached.health()).toEqual({ level: "healthy", reason: "", unavailableDependencies: [] });
    expect(JSON.stringify(attached)).not.toContain(token);
  });

  it("is left alone, and nothing of it is left, when it does not take this for its host", async () => {
    await using host = await startAttachHost();
    await using plugin = await servePlugin();
    for (const controlToken of [undefined, "x".repeat(40)]) {
      const refused = await refusalOf(host.attacher.attach(plugin.endpoint, { controlToken }));
      expect(refused.code).toBe(Code.PermissionDenied);
      expectNothingLeft(host);
    }
    expect((await host.attacher.attach(plugin.endpoint, { controlToken: token })).identity.selfId).toBe("relay");
  });

  it("is provided by the host when it has no link", async () => {
    await using host = await startAttachHost();
    await using plugin = await serve({
      plugins: { relay },
      impls: { relay: {} as ServiceImpl<typeof RelayService> },
      listen: { port: 0 },
      control: { token },
      link: false,
      environment: {},
      handleSignals: false,
    });
    await host.attacher.attach(plugin.endpoint, { controlToken: token, registerWaitMs: 60_000 });
    expect(host.registered()).toEqual([`relay 1.2.0 relay /${RelayService.typeName}/`]);
  });

  it("shuts down when it is asked to, gets no new calls, and is detached", async () => {
    await using host = await startAttachHost();
    await using plugin = await servePlugin();
    const attached = await host.attacher.attach(plugin.endpoint, { controlToken: token });
    await attached.shutdown({ graceMs: 60_000, reason: "enough" });
    await plugin.closed;
    await attached.detached;
    expectNothingLeft(host);
    await expect(attached.health()).rejects.toMatchObject({ code: Code.Unavailable });
  });
});

describe("a plugin of another implementation", () => {
  const info = {
    selfId: "logger-plugin",
    selfVersion: "1.0.0",
    provides: [
      { type: "logger", version: "1.0.0", path: "/logger.v1.Logger/" },
      { type: "audit", version: "2.0.0", path: "/" },
      { type: "logger", version: "0.9.0", path: "/old/" },
    ],
    requires: [{ type: "clock" }],
    metadata: { name: "Logger Plugin" },
  };

  it("is registered from what it says of itself", async () => {
    await using host = await startAttachHost();
    const given: { runtimeId: string; runtimeToken: string; hostUrl: string; controlToken: string }[] = [];
    await using plugin = await startForeign(
      foreignServices({
        info,
        health: "healthy",
        onIdentity(request) {
          given.push(request);
          return true;
        },
      }),
    );
    const attached = await host.attacher.attach(`${plugin.url}/`, { registerWaitMs: 0 });
    const { runtimeId } = attached.identity;
    expect(given).toMatchObject([{ runtimeId, hostUrl: host.endpoint, controlToken: "" }]);
    expect(host.identities.verify(runtimeId, given[0]?.runtimeToken ?? "")).toBe(attached.identity);
    expect(host.registered()).toEqual(["audit 2.0.0 logger-plugin /", "logger 1.0.0 logger-plugin /logger.v1.Logger/"]);
    expect(await attached.health()).toMatchObject({ level: "healthy" });
  });

  it("registers some of it by itself: the host does the rest, and waits no longer than it must", async () => {
    await using host = await startAttachHost();
    await using plugin = await startForeign(
      foreignServices({
        info: { ...info, provides: info.provides.slice(0, 1) },
        async onIdentity({ runtimeId, runtimeToken, hostUrl }) {
          const calls = openCallTransport({ endpoint: parseEndpoint(hostUrl), httpVersion: "1.1" });
          const headers = { "x-plugin-runtime-id": runtimeId, authorization: `Bearer ${runtimeToken}` };
          const registry = createClient(ServiceRegistry, calls.transport);
          const service = { serviceType: "logger", version: "1.0.0", endpointPath: "/mine/" };
          await registry.registerService(service, { headers });
          await calls.close();
          return true;
        },
      }),
    );
    await host.attacher.attach(plugin.url, { registerWaitMs: 600_000 });
    expect(host.registered()).toEqual(["logger 1.0.0 logger-plugin /mine/"]);
  });

  it.each<[what: string, listener: Parameters<typeof startForeign>[0]]>([
    ["404", (_request, response) => response.writeHead(404).end("not found")],
    ["unimplemented", foreignServices({})],
    ["a page of HTML", (_request, response) => response.setHeader("content-type", "text/html").end("<p>hello")],
    ["nothing it understands", (_request, response) => response.writeHead(500).end()],
    ["an answer without an identity", foreignServices({ info: { selfId: "", provides: [] } })],
  ])("that answers %s needs a name, and is attached by it", async (_what, listener) => {
    await using host = await startAttachHost();
    await using plugin = await startForeign(listener);
    const refused = await refusalOf(host.attacher.attach(plugin.url));
    expect(refused).toMatchObject({ code: Code.FailedPrecondition, rawMessage: expect.stringContaining("selfId") });
    expectNothingLeft(host);
    const attached = await host.attacher.attach(plugin.url, { selfId: "cache", registerWaitMs: 600_000 });
    expect(attached.identity.selfId).toBe("cache");
    expect(await attached.health()).toBeUndefined();
    await expect(attached.shutdown()).rejects.toBeInstanceOf(ConnectError);
    attached.detach();
    await attached.detached;
    expectNothingLeft(host);
  });

  it("that does not describe itself is registered as the host says, and may call what the host says", async () => {
    await using host = await startAttachHost();
    await using plugin = await startForeign((_request, response) => response.writeHead(404).end());
    const { identity } = await host.attacher.attach(plugin.url, {
      selfId: "cache",
      provides: [{ type: "cache", version: "1.0.0", path: "/cache/" }],
      requires: [{ type: "clock" }],
    });
    expect(host.registered()).toEqual(["cache 1.0.0 cache /cache/"]);
    expect(identity.declares?.requires).toEqual([{ type: "clock" }]);
  });

  it("is called over HTTP/2 when it speaks nothing else", async () => {
    await using host = await startAttachHost();
    await using plugin = await startForeign(foreignServices({ info, health: "healthy" }), { http: "2" });
    const attached = await host.attacher.attach(plugin.url);
    expect(attached.info.selfId).toBe("logger-plugin");
    expect(await attached.health()).toMatchObject({ level: "healthy" });
  });

  it("is asked to end, and detached when its grace is over", async () => {
    await using host = await startAttachHost();
    const orders: unknown[] = [];
    await using plugin = await startForeign(foreignServices({ info, onShutdown: (order) => void orders.push(order) }));
    const attached = await host.attacher.attach(plugin.url, { controlToken: token });
    await expect(attached.shutdown({ graceMs: -1 })).rejects.toBeInstanceOf(RangeError);
    await attached.shutdown({ graceMs: 1_500, reason: "enough" });
    expect(orders).toMatchObject([{ gracePeriodSeconds: 1, reason: "enough", controlToken: token }]);
    expect(host.store.provider(attached.identity.runtimeId)?.draining).toBe(true);
    await attached.shutdown({ graceMs: 0 });
    await attached.detached;
    expectNothingLeft(host);
  });
});

describe("an attach that fails leaves nothing", () => {
  const answers = foreignServices({ info: { selfId: "p", provides: [{ type: "p", version: "1.0.0", path: "/" }] } });

  it.each<[what: string, info: object, field: RegExp]>([
    ["self_id", { selfId: "a/b" }, /self_id/],
    ["self_version", { selfId: "p", selfVersion: "v".repeat(65) }, /self_version/],
    [
      "a path",
      { selfId: "p", provides: [{ type: "p", version: "1.0.0", path: "/connectplugin.v1.X/" }] },
      /provides\[0\]\.path/,
    ],
    ["a version", { selfId: "p", provides: [{ type: "p", version: "one", path: "/" }] }, /provides\[0\]\.version/],
    ["too many services", { selfId: "p", requires: Array(101).fill({ type: "a" }) }, /requires/],
    ["metadata", { selfId: "p", metadata: { "": "x" } }, /metadata/],
  ])("a description against the rules: %s", async (_what, info, field) => {
    await using host = await startAttachHost();
    await using plugin = await startForeign(foreignServices({ info }));
    const refused = await refusalOf(host.attacher.attach(plugin.url));
    expect(refused).toMatchObject({ code: Code.InvalidArgument, rawMessage: expect.stringMatching(field) });
    expectNothingLeft(host);
  });

  it("another name than was expected", async () => {
    await using host = await startAttachHost();
    await using plugin = await startForeign(answers);
    const refused = await refusalOf(host.attacher.attach(plugin.url, { selfId: "q" }));
    expect(refused).toMatchObject({ code: Code.FailedPrecondition, rawMessage: "the plugin calls itself p, not q" });
    expectNothingLeft(host);
  });

  it("nobody there, or nobody who answers", async () => {
    await using host = await startAttachHost();
    const silent = await startForeign(() => {});
    expect((await refusalOf(host.attacher.attach(silent.url, { callTimeoutMs: 20 }))).code).toBe(Code.DeadlineExceeded);
    await silent[Symbol.asyncDispose]();
    expect((await refusalOf(host.attacher.attach(silent.url))).code).toBe(Code.Unavailable);
    expectNothingLeft(host);
  });

  it.each<[endpoint: string, code: Code]>([
    ["unix:/run/p.sock", Code.InvalidArgument],
    ["http://user:secret@a", Code.InvalidArgument],
    ["http://name.invalid", Code.Unavailable],
    ["memory:p", Code.InvalidArgument],
  ])("the endpoint %s", async (endpoint, code) => {
    await using host = await startAttachHost({
      upstreams: { lookUp: () => Promise.reject(new Error("ENOTFOUND")) },
    });
    const refused = await refusalOf(host.attacher.attach(endpoint));
    expect(refused.code).toBe(code);
    expect(refused.message).not.toContain("secret");
    expectNothingLeft(host);
  });

  it("the host itself", async () => {
    await using host = await startAttachHost();
    const { port } = new URL(host.endpoint);
    for (const name of ["127.0.0.1", "localhost", "[::1]"]) {
      expect((await refusalOf(host.attacher.attach(`http://${name}:${port}`))).code).toBe(Code.PermissionDenied);
    }
    expectNothingLeft(host);
  });

  it("a service that policy forbids", async () => {
    await using host = await startAttachHost({ access: { rules: [{ effect: "deny", types: ["p"] }] } });
    await using plugin = await startForeign(answers);
    expect((await refusalOf(host.attacher.attach(plugin.url))).code).toBe(Code.PermissionDenied);
    expectNothingLeft(host);
  });

  it("given up while it waits for the plugin's own registrations, and while the plugin is asked", async () => {
    await using host = await startAttachHost();
    const gone = new AbortController();
    await using taking = await startForeign(
      foreignServices({
        info: { selfId: "p", provides: [{ type: "p", version: "1.0.0", path: "/" }] },
        onIdentity() {
          setImmediate(() => gone.abort(new Error("given up")));
          return true;
        },
      }),
    );
    const attempt = host.attacher.attach(taking.url, { signal: gone.signal, registerWaitMs: 600_000 });
    await expect(attempt).rejects.toThrow("given up");
    expectNothingLeft(host);
    const second = new AbortController();
    await using silent = await startForeign(() => second.abort(new Error("given up")));
    await expect(host.attacher.attach(silent.url, { signal: second.signal })).rejects.toThrow("given up");
    expectNothingLeft(host);
  });

  it("its identity revoked before it was done", async () => {
    await using host = await startAttachHost();
    await using plugin = await startForeign(
      foreignServices({
        info: { selfId: "p", provides: [{ type: "p", version: "1.0.0", path: "/" }] },
        onIdentity({ runtimeId }) {
          setImmediate(() => host.identities.revoke(runtimeId));
          return true;
        },
      }),
    );
    const refused = await refusalOf(host.attacher.attach(plugin.url, { registerWaitMs: 600_000 }));
    expect(refused.code).toBe(Code.Aborted);
    expectNothingLeft(host);
  });

  it.each<[options: AttachOptions, message: RegExp]>([
    [{ registerWaitMs: -1 }, /registerWaitMs/],
    [{ registerWaitMs: Number.NaN }, /registerWaitMs/],
    [{ callTimeoutMs: 0 }, /callTimeoutMs/],
    [{ selfId: "a b" }, /selfId/],
    [{ selfVersion: "v".repeat(65) }, /selfVersion/],
    [{ provides: [{ type: "a", version: "1", path: "/" }] }, /provides\[0\]\.version/],
    [{ provides: [{ type: "a", version: "1.0.0", path: "a" }] }, /provides\[0\]\.path/],
    [{ requires: [{ type: "a", minVersion: ">1" }] }, /requires\[0\]\.minVersion/],
  ])("the options %o", async (options, message) => {
    await using host = await startAttachHost();
    await expect(host.attacher.attach("http://127.0.0.1:1", options)).rejects.toThrow(message);
  });
});

describe("an attached plugin", () => {
  const info = {
    selfId: "p",
    provides: [{ type: "p", version: "1.0.0", path: "/" }],
    requires: [{ type: "clock" }],
  };

  it("is detached when its identity is revoked", async () => {
    await using host = await startAttachHost();
    await using plugin = await startForeign(foreignServices({ info }));
    const attached = await host.attacher.attach(plugin.url);
    host.identities.revoke(attached.identity.runtimeId);
    await attached.detached;
    attached.detach();
    expectNothingLeft(host);
  });

  it("is superseded by itself when it is attached again", async () => {
    await using host = await startAttachHost();
    await using plugin = await startForeign(foreignServices({ info }));
    const first = await host.attacher.attach(plugin.url);
    const second = await host.attacher.attach(plugin.url);
    await first.detached;
    expect(host.store.providers().map(({ id }) => id)).toEqual([second.identity.runtimeId]);
    expect(host.identities.size).toBe(1);
  });

  it("has an identity that is in use, even if it never calls", async () => {
    await using host = await startAttachHost({ serve: { maxIdentities: 1 } });
    await using plugin = await startForeign(foreignServices({ info }));
    const attached = await host.attacher.attach(plugin.url);
    expect(() => host.issue({ selfId: "q" })).toThrow(expect.objectContaining({ code: Code.ResourceExhausted }));
    expect(host.identities.get(attached.identity.runtimeId)).toBe(attached.identity);
  });

  it("may have shaken hands before: it keeps that identity, and is known by what it says of itself", async () => {
    await using host = await startAttachHost();
    await using plugin = await startForeign(foreignServices({ info }));
    const peer = { network: "tcp", address: "127.0.0.1", port: 1, tls: undefined } as const;
    const { identity } = host.issue({ selfId: "p", peer });
    const attached = await host.attacher.attach(plugin.url, { identity, registerWaitMs: 0 });
    expect(attached.identity).toBe(identity);
    expect(host.declarations.of(identity)?.requires).toMatchObject([{ type: "clock" }]);
    expect(host.registered()).toEqual(["p 1.0.0 p /"]);
    const { identity: other } = host.issue({ selfId: "q", peer });
    const refused = await refusalOf(host.attacher.attach(plugin.url, { identity: other }));
    expect(refused.code).toBe(Code.FailedPrecondition);
  });

  it("keeps the identity that it had when attaching it fails", async () => {
    await using host = await startAttachHost({ access: { rules: [{ effect: "deny", types: ["p"] }] } });
    await using plugin = await startForeign(foreignServices({ info }));
    const { identity } = host.issue({ selfId: "p" });
    const refused = await refusalOf(host.attacher.attach(plugin.url, { identity, registerWaitMs: 0 }));
    expect(refused.code).toBe(Code.PermissionDenied);
    expect(host.identities.get(identity.runtimeId)).toBe(identity);
    // It is not attached: another attempt gets as far.
    const again = await refusalOf(host.attacher.attach(plugin.url, { identity, registerWaitMs: 0 }));
    expect(again.code).toBe(Code.PermissionDenied);
  });

  it("may do what it declared and no more, and nobody else takes its type", async () => {
    await using host = await startAttachHost();
    let credentials: Record<string, string> = {};
    await using plugin = await startForeign(
      foreignServices({
        info,
        onIdentity({ runtimeId, runtimeToken }) {
          credentials = { "x-plugin-runtime-id": runtimeId, authorization: `Bearer ${runtimeToken}` };
          return false;
        },
      }),
    );
    await host.attacher.attach(plugin.url, { registerWaitMs: 600_000 });
    const calls = openCallTransport({ endpoint: parseEndpoint(host.endpoint), httpVersion: "1.1" });
    const registry = createClient(ServiceRegistry, calls.transport);
    const discover = (serviceType: string) => registry.discoverService({ serviceType }, { headers: credentials });
    expect((await refusalOf(discover("clock"))).code).toBe(Code.NotFound);
    expect((await refusalOf(discover("other"))).code).toBe(Code.PermissionDenied);
    const service = { version: "1.0.0", endpointPath: "/", metadata: { base_url: "http://127.0.0.1:1" } };
    const more = registry.registerService({ ...service, serviceType: "more" }, { headers: credentials });
    expect((await refusalOf(more)).code).toBe(Code.PermissionDenied);

    const peer = { network: "tcp", address: "127.0.0.1", port: 1, tls: undefined } as const;
    const { headers } = host.issue({ selfId: "stranger", peer });
    const taken = registry.registerService({ ...service, serviceType: "p" }, { headers });
    expect((await refusalOf(taken)).code).toBe(Code.PermissionDenied);
    await registry.registerService({ ...service, serviceType: "free" }, { headers });
    expect(host.registered()).toEqual(["free 1.0.0 stranger /", "p 1.0.0 p /"]);
    await calls.close();
  });

  it("goes with its host, and no other is attached then", async () => {
    const host = await startAttachHost();
    await using plugin = await startForeign(foreignServices({ info }));
    const attached = await host.attacher.attach(plugin.url);
    await provided(host, "p");
    await host[Symbol.asyncDispose]();
    await attached.detached;
    expect((await refusalOf(host.attacher.attach(plugin.url))).code).toBe(Code.Unavailable);
    expectNothingLeft(host);
  });
});
