import { type CallOptions, type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { HandshakeService } from "@cpg/core/gen/connectplugin/v1/handshake_pb";
import { HealthState } from "@cpg/core/gen/connectplugin/v1/health_pb";
import { PluginLifecycle } from "@cpg/core/gen/connectplugin/v1/lifecycle_pb";
import { ServiceRegistry, ServiceState, type WatchServiceEvent } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import type { Upstream } from "../src/router/upstream.ts";
import { healthOf } from "./support/facts.ts";
import { type RegistryHost, type RegistryHostOptions, startRegistryHost, upstreamAt } from "./support/registry-host.ts";

interface Plugin extends AsyncDisposable {
  readonly id: string;
  readonly registry: Client<typeof ServiceRegistry>;
  readonly lifecycle: Client<typeof PluginLifecycle>;
  readonly options: CallOptions;
  /** Registers "logger" 1.0.0, or as said. */
  register(facts?: {
    type?: string;
    version?: string;
    lease?: bigint;
    instanceKey?: string;
    baseUrl?: string;
  }): Promise<string>;
  watch(options?: { afterRevision?: bigint; epoch?: string; allProviders?: boolean }): Watch;
}

interface Watch {
  next(): Promise<WatchServiceEvent>;
  /** "AVAILABLE logger-1": state and preferred provider of the next event. */
  shown(): Promise<string>;
  leave(): void;
}

const stateName = new Map<ServiceState, string>(Object.entries(ServiceState).map(([name, state]) => [state, name]));

function pluginOf(host: RegistryHost, wire: "connect" | "grpc", selfId: string): Plugin {
  const sessionManager = new Http2SessionManager(host.endpoint);
  const common = { baseUrl: host.endpoint, sessionManager, httpVersion: "2" as const };
  const transport = wire === "grpc" ? createGrpcTransport(common) : createConnectTransport(common);
  const { id, headers } = host.issue({ selfId });
  const options = { headers };
  const registry = createClient(ServiceRegistry, transport);
  return {
    id,
    registry,
    lifecycle: createClient(PluginLifecycle, transport),
    options,
    async register({ type = "logger", version = "1.0.0", lease, instanceKey = "", baseUrl = `http://${id}` } = {}) {
      const answer = await registry.registerService(
        {
          serviceType: type,
          version,
          endpointPath: "/",
          metadata: { base_url: baseUrl },
          instanceKey,
          ...(lease !== undefined && { lease: { seconds: lease } }),
        },
        options,
      );
      return answer.registrationId;
    },
    watch(request = {}) {
      const abort = new AbortController();
      const events = registry.watchService({ serviceType: "logger", ...request }, { ...options, signal: abort.signal });
      const reader = events[Symbol.asyncIterator]();
      const next = async () => {
        const { value, done } = await reader.next();
        if (done) throw new Error("the watch ended without an error");
        return value;
      };
      return {
        next,
        async shown() {
          const { state, endpoint } = await next();
          return `${stateName.get(state)} ${endpoint?.providerId ?? "-"}`;
        },
        leave: () => abort.abort(new Error("enough")),
      };
    },
    async [Symbol.asyncDispose]() {
      sessionManager.abort();
    },
  };
}

async function codeOf(promise: Promise<unknown>): Promise<Code | undefined> {
  return promise.then(
    () => undefined,
    (reason) => ConnectError.from(reason).code,
  );
}

/** Resolves when the store has no watches any more; fails by the test's own limit otherwise. */
async function untilNoWatches({ hub }: RegistryHost): Promise<void> {
  while (hub.size > 0) await new Promise((resolve) => setImmediate(resolve));
}

describe.each(["connect", "grpc"] as const)("over %s", (wire) => {
  async function start(options?: RegistryHostOptions) {
    const host = await startRegistryHost(options);
    return { host, plugin: (selfId: string) => pluginOf(host, wire, selfId) };
  }

  it("a plugin that shook hands registers, is discovered, and unregisters", async () => {
    const { host, plugin } = await start();
    await using _host = host;
    await using consumer = plugin("consumer");
    const handshakes = createClient(
      HandshakeService,
      createConnectTransport({ baseUrl: host.endpoint, httpVersion: "1.1" }),
    );
    const { runtimeId, runtimeToken } = await handshakes.handshake({
      coreProtocolVersion: 1,
      appProtocolVersion: 1,
      magicCookieKey: "CONNECT_PLUGIN",
      magicCookieValue: "d3f40b3c2e1a5f8b9c4d7e6a1b2c3d4e",
      selfId: "logger",
      selfVersion: "1.0.0",
    });
    const headers = { "X-Plugin-Runtime-ID": runtimeId, Authorization: `Bearer ${runtimeToken}` };

    const { registrationId, lease } = await consumer.registry.registerService(
      {
        serviceType: "logger",
        version: "1.2.3",
        endpointPath: "/v1/",
        metadata: { base_url: "http://l", weight: "7.5" },
      },
      { headers },
    );
    expect(lease).toBeUndefined();
    expect(host.store.registration(registrationId)).toMatchObject({
      providerId: runtimeId,
      type: "logger",
      version: "1.2.3",
      endpointPath: "/v1/",
      weight: 7.5,
      leaseMs: undefined,
      upstream: upstreamAt("http://l"),
    });
    const found = await consumer.registry.discoverService({ serviceType: "logger" }, consumer.options);
    expect(found).toMatchObject({
      singleProvider: true,
      endpoint: { providerId: runtimeId, version: "1.2.3", endpointUrl: `/services/logger/${runtimeId}` },
    });
    expect(found.endpoint?.metadata).toEqual({ base_url: "http://l", weight: "7.5" });
    expect(host.described.map(({ selfId }) => selfId)).toEqual(["logger"]);

    await consumer.registry.unregisterService({ registrationId }, { headers });
    expect(await codeOf(consumer.registry.unregisterService({ registrationId }, { headers }))).toBe(Code.NotFound);
    expect(host.store.providers()).toEqual([]);
  });

  it("asks policy who wants what, and asks for the declarations of each plugin once", async () => {
    const { host, plugin } = await start();
    await using _host = host;
    await using p = plugin("p");
    await p.register();
    await p.register({ type: "storage" });
    await p.registry.discoverService({ serviceType: "logger" }, p.options);
    await p.watch().next();
    expect(host.asked.map(({ action, type, version, identity }) => [action, type, version, identity.selfId])).toEqual([
      ["register", "logger", "1.0.0", "p"],
      ["register", "storage", "1.0.0", "p"],
      ["discover", "logger", undefined, "p"],
      ["watch", "logger", undefined, "p"],
    ]);
    expect(host.described).toHaveLength(1);

    const { headers } = host.issue({ selfId: "ours", declares: { provides: [], requires: [] } });
    await p.registry.registerService({ serviceType: "x", version: "1.0.0", endpointPath: "/" }, { headers });
    expect(host.described).toHaveLength(1);
  });

  it("a plugin reports its health, and only its own", async () => {
    const { host, plugin } = await start();
    await using _host = host;
    await using p = plugin("p");
    const report = { state: HealthState.DEGRADED, reason: "slow", unavailableDependencies: ["logger"] };
    await p.lifecycle.reportHealth(report, p.options);
    expect(host.reports).toEqual([
      { providerId: p.id, report: { level: "degraded", reason: "slow", unavailableDependencies: ["logger"] } },
    ]);
  });

  it("a watch tells the present state, then every change as it happens", async () => {
    const { host, plugin } = await start();
    await using _host = host;
    await using a = plugin("a");
    await using b = plugin("b");
    await using consumer = plugin("consumer");
    const watch = consumer.watch();
    expect(await watch.shown()).toBe("UNAVAILABLE -");
    const registrationId = await a.register();
    expect(await watch.shown()).toBe(`AVAILABLE ${a.id}`);
    // Another provider changes nothing that this watch shows.
    await b.register();
    host.store.setHealth(a.id, healthOf("degraded"));
    expect(await watch.shown()).toBe(`AVAILABLE ${b.id}`);
    host.store.setDraining(b.id);
    expect(await watch.shown()).toBe(`DEGRADED ${a.id}`);
    await a.registry.unregisterService({ registrationId }, a.options);
    expect(await watch.shown()).toBe("UNAVAILABLE -");
    host.server.identities.revoke(b.id);
    await a.register({ version: "2.0.0" });
    const last = await watch.next();
    expect(last.endpoint).toMatchObject({ providerId: a.id, version: "2.0.0" });
    expect(last).toMatchObject({ serviceType: "logger", epoch: host.store.epoch, restarted: false, providers: [] });
    expect(last.revision).toBe(BigInt(host.store.revision));
  });

  it("a watch of all providers lists them, the preferred ones first", async () => {
    const { host, plugin } = await start();
    await using _host = host;
    await using a = plugin("a");
    await using b = plugin("b");
    const watch = a.watch({ allProviders: true });
    expect((await watch.next()).providers).toEqual([]);
    await a.register();
    expect((await watch.next()).providers).toHaveLength(1);
    await b.register();
    expect((await watch.next()).providers).toHaveLength(2);
    host.store.setHealth(a.id, healthOf("unhealthy", "disk full"));
    expect((await watch.next()).providers).toMatchObject([
      { endpoint: { providerId: b.id }, health: HealthState.HEALTHY, reason: "", draining: false },
      { endpoint: { providerId: a.id }, health: HealthState.UNHEALTHY, reason: "disk full", draining: false },
    ]);
  });

  it("a watch that broke goes on without a gap, or says that it starts over", async () => {
    const { host, plugin } = await start();
    await using _host = host;
    await using p = plugin("p");
    const first = p.watch();
    const { revision, epoch } = await first.next();
    first.leave();
    await untilNoWatches(host);
    await p.register();
    host.store.setHealth(p.id, healthOf("degraded"));

    const resumed = p.watch({ afterRevision: revision, epoch });
    expect(await resumed.shown()).toBe(`AVAILABLE ${p.id}`);
    expect(await resumed.shown()).toBe(`DEGRADED ${p.id}`);
    for (const cursor of [
      { afterRevision: revision, epoch: "another" },
      { afterRevision: 2n ** 64n - 1n, epoch },
    ]) {
      const event = await p.watch(cursor).next();
      expect(event).toMatchObject({ restarted: true, state: ServiceState.DEGRADED });
    }
  });

  it.each(["revoked", "superseded", "released"] as const)(
    "the watches and services of an identity that is %s end at once",
    async (reason) => {
      const { host, plugin } = await start();
      await using _host = host;
      await using a = plugin("a");
      await using b = plugin("b");
      await a.register();
      const [held, other] = [a.watch(), b.watch()];
      await held.next();
      await other.next();
      const next = codeOf(held.next());
      host.server.identities.revoke(a.id, reason);
      expect(await next).toBe(Code.Unauthenticated);
      expect(await other.shown()).toBe("UNAVAILABLE -");
      expect(host.hub.size).toBe(1);
    },
  );

  it("the watches of an identity that expires end, and its services stay", async () => {
    const clock = new FakeClock();
    const { host, plugin } = await start({ clock });
    await using _host = host;
    await using a = plugin("a");
    await a.register();
    const watch = a.watch();
    await watch.next();
    const next = codeOf(watch.next());
    await clock.advance(host.server.identities.ttlMs);
    expect(await next).toBe(Code.Unauthenticated);
    expect(host.hub.size).toBe(0);
    expect(host.store.find("logger", a.id)).toBeDefined();
  });

  it("watches end with unavailable when the host begins to drain, and nothing new begins", async () => {
    const { host, plugin } = await start();
    await using p = plugin("p");
    const watch = p.watch();
    await watch.next();
    const next = codeOf(watch.next());
    const closed = host.server.close({ graceMs: 5_000 });
    expect(await next).toBe(Code.Unavailable);
    await closed;
    expect(host.hub.size).toBe(0);
    expect(host.errors).toEqual([]);
  });

  it("a watch that its caller leaves leaves nothing behind", async () => {
    const { host, plugin } = await start();
    await using _host = host;
    await using p = plugin("p");
    const watch = p.watch();
    await watch.next();
    const next = codeOf(watch.next());
    watch.leave();
    expect(await next).toBe(Code.Canceled);
    await untilNoWatches(host);
  });

  it("one identity can have so many watches, and more when it leaves one", async () => {
    const { host, plugin } = await start({ watchLimits: { watchesPerIdentity: 2 } });
    await using _host = host;
    await using p = plugin("p");
    await using other = plugin("other");
    const watches = [p.watch(), p.watch()];
    for (const watch of watches) await watch.next();
    expect(await codeOf(p.watch().next())).toBe(Code.ResourceExhausted);
    await other.watch().next();
    watches[0]?.leave();
    while (host.hub.size > 2) await new Promise((resolve) => setImmediate(resolve));
    await p.watch().next();
  });

  it("a lease that is not renewed ends its registration, one that is does not", async () => {
    const clock = new FakeClock();
    const { host, plugin } = await start({ clock });
    await using _host = host;
    await using p = plugin("p");
    await using forever = plugin("forever");
    await forever.register({ type: "other" });
    const watch = p.watch();
    await watch.next();
    const id = await p.register({ lease: 10n });
    expect(await watch.shown()).toBe(`AVAILABLE ${p.id}`);
    await clock.advance(9_000);
    expect(await p.register({ lease: 10n })).toBe(id);
    await clock.advance(9_999);
    expect(host.store.registration(id)).toMatchObject({ leaseMs: 10_000 });
    await clock.advance(1);
    expect(await watch.shown()).toBe("UNAVAILABLE -");
    expect(host.store.types()).toEqual(["other"]);
  });

  it("a lease leaves no timer when the host closes", async () => {
    const clock = new FakeClock();
    const { host, plugin } = await start({ clock });
    await using p = plugin("p");
    await p.register({ lease: 3600n });
    const before = clock.pending;
    await host.server.close({ graceMs: 0 });
    expect(before).toBeGreaterThan(0);
    expect(clock.pending).toBe(0);
  });

  it.each([
    ["the same place", { baseUrl: "http://p:1" }, { baseUrl: "http://p:1" }],
    [
      "a key that it has proven",
      { instanceKey: "k".repeat(40) },
      { instanceKey: "k".repeat(40), baseUrl: "http://new" },
    ],
    [
      "the same place, the key forgotten",
      { instanceKey: "k".repeat(40), baseUrl: "http://p:1" },
      { baseUrl: "http://p:1" },
    ],
  ])("the same instance, known by %s, takes the place of its former self", async (_, before, now) => {
    const { host, plugin } = await start();
    await using _host = host;
    await using old = plugin("p");
    await using next = plugin("p");
    await using consumer = plugin("consumer");
    await old.register(before);
    await old.register({ ...before, type: "storage" });
    const [watch, held] = [consumer.watch({ allProviders: true }), old.watch()];
    await watch.next();
    await held.next();
    const ended = codeOf(held.next());
    await next.register(now);
    expect((await watch.next()).providers).toMatchObject([{ endpoint: { providerId: next.id } }]);
    expect(await ended).toBe(Code.Unauthenticated);
    expect(host.server.identities.get(old.id)).toBeUndefined();
    expect(host.store.providers().map(({ id }) => id)).toEqual([next.id]);
  });

  it.each([
    ["another self_id", "q", { baseUrl: "http://p:1" }],
    ["another base_url", "p", { baseUrl: "http://p:2" }],
    ["another key, elsewhere", "p", { instanceKey: "x".repeat(40), baseUrl: "http://p:2" }],
    ["another self_id with the same key", "q", { instanceKey: "k".repeat(40), baseUrl: "http://p:2" }],
  ])("an instance with %s is another one", async (_, selfId, facts) => {
    const { host, plugin } = await start();
    await using _host = host;
    await using one = plugin("p");
    await using other = plugin(selfId);
    await one.register({ instanceKey: "k".repeat(40), baseUrl: "http://p:1" });
    await other.register(facts);
    expect(host.store.ofType("logger").map(({ providerId }) => providerId)).toEqual([one.id, other.id]);
  });
});

describe("registrations whose address takes time to be settled", () => {
  /** A host whose resolution waits for the test. */
  async function start(options: RegistryHostOptions = {}) {
    const waiting = new Map<string, PromiseWithResolvers<Upstream> & { readonly signal: AbortSignal }>();
    let tell = () => {};
    const host = await startRegistryHost({
      ...options,
      resolve(baseUrl, signal) {
        const deferred = Promise.withResolvers<Upstream>();
        waiting.set(baseUrl, { ...deferred, signal });
        tell();
        return deferred.promise;
      },
    });
    /** Resolves when the registration at that URL is being settled. */
    const settling = async (baseUrl: string) => {
      for (;;) {
        const found = waiting.get(baseUrl);
        if (found !== undefined) return found;
        await new Promise<void>((resolve) => {
          tell = resolve;
        });
      }
    };
    return { host, plugin: pluginOf(host, "connect", "p"), settling };
  }

  it("take effect in the order in which they began, whatever the order in which they are settled", async () => {
    const { host, plugin, settling } = await start();
    await using _host = host;
    await using _plugin = plugin;
    const first = plugin.register({ baseUrl: "http://1", version: "1.0.0" });
    const one = await settling("http://1");
    const second = plugin.register({ baseUrl: "http://2", version: "2.0.0" });
    const two = await settling("http://2");
    two.resolve(upstreamAt("http://2"));
    const id = await second;
    one.resolve(upstreamAt("http://1"));
    expect(await first).toBe(id);
    expect(host.store.registration(id)).toMatchObject({ version: "2.0.0" });
  });

  it("do not come back after they were unregistered", async () => {
    const { host, plugin, settling } = await start();
    await using _host = host;
    await using _plugin = plugin;
    const first = plugin.register({ baseUrl: "http://1" });
    (await settling("http://1")).resolve(upstreamAt("http://1"));
    const registrationId = await first;
    const second = codeOf(plugin.register({ baseUrl: "http://2" }));
    const two = await settling("http://2");
    await plugin.registry.unregisterService({ registrationId }, plugin.options);
    two.resolve(upstreamAt("http://2"));
    expect(await second).toBe(Code.Aborted);
    expect(host.store.types()).toEqual([]);
  });

  it("register nothing when their identity ended meanwhile", async () => {
    const { host, plugin, settling } = await start();
    await using _host = host;
    await using _plugin = plugin;
    const answer = codeOf(plugin.register({ baseUrl: "http://1" }));
    const { resolve } = await settling("http://1");
    host.server.identities.revoke(plugin.id);
    resolve(upstreamAt("http://1"));
    expect(await answer).toBe(Code.Unauthenticated);
    expect(host.store.revision).toBe(0);
  });

  it("register nothing when their caller left, and stop looking", async () => {
    const { host, plugin, settling } = await start();
    await using _host = host;
    await using _plugin = plugin;
    const abort = new AbortController();
    const answer = codeOf(
      plugin.registry.registerService(
        { serviceType: "logger", version: "1.0.0", endpointPath: "/", metadata: { base_url: "http://1" } },
        { ...plugin.options, signal: abort.signal },
      ),
    );
    const { resolve, signal } = await settling("http://1");
    const stopped = new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    abort.abort(new Error("enough"));
    expect(await answer).toBe(Code.Canceled);
    await stopped;
    resolve(upstreamAt("http://1"));
    expect(host.store.revision).toBe(0);
  });

  it("fail when that takes too long", async () => {
    const clock = new FakeClock();
    const { host, plugin, settling } = await start({ clock });
    await using _host = host;
    await using _plugin = plugin;
    const answer = codeOf(plugin.register({ baseUrl: "http://1" }));
    await settling("http://1");
    await clock.advance(10_000);
    expect(await answer).toBe(Code.Unavailable);
    expect(host.store.revision).toBe(0);
  });

  it("register nothing when the host began to drain meanwhile", async () => {
    const { host, plugin, settling } = await start();
    await using _plugin = plugin;
    const answer = codeOf(plugin.register({ baseUrl: "http://1" }));
    const { resolve } = await settling("http://1");
    const closed = host.server.close({ graceMs: 5_000 });
    resolve(upstreamAt("http://1"));
    expect(await answer).toBe(Code.Unavailable);
    expect(host.store.revision).toBe(0);
    await closed;
  });

  it("ask the policy again when anything changed meanwhile", async () => {
    const access: RegistryHostOptions["access"] = ({ type }, store) => {
      if (store.ofType(type).length > 0) throw new ConnectError("the type has a provider", Code.PermissionDenied);
    };
    const { host, plugin, settling } = await start({ access });
    await using _host = host;
    await using _plugin = plugin;
    await using other = pluginOf(host, "connect", "other");
    const late = codeOf(plugin.register({ baseUrl: "http://1" }));
    const one = await settling("http://1");
    const early = other.register({ baseUrl: "http://2" });
    (await settling("http://2")).resolve(upstreamAt("http://2"));
    await early;
    one.resolve(upstreamAt("http://1"));
    expect(await late).toBe(Code.PermissionDenied);
    expect(host.store.ofType("logger")).toMatchObject([{ providerId: other.id }]);
  });

  it("fail as the policy says when it refuses the address", async () => {
    const { host, plugin, settling } = await start();
    await using _host = host;
    await using _plugin = plugin;
    const answer = codeOf(plugin.register({ baseUrl: "http://1" }));
    (await settling("http://1")).reject(new ConnectError("not there", Code.PermissionDenied));
    expect(await answer).toBe(Code.PermissionDenied);
    expect(host.store.revision).toBe(0);
  });

  it("are no more at a time than one plugin may have, and there is room again afterwards", async () => {
    const { host, plugin, settling } = await start();
    await using _host = host;
    await using _plugin = plugin;
    const answers = Array.from({ length: 100 }, (_, index) => plugin.register({ baseUrl: `http://${index}` }));
    for (const index of answers.keys()) await settling(`http://${index}`);
    expect(await codeOf(plugin.register({ baseUrl: "http://more" }))).toBe(Code.ResourceExhausted);
    for (const index of answers.keys()) (await settling(`http://${index}`)).resolve(upstreamAt(`http://${index}`));
    expect(new Set(await Promise.all(answers)).size).toBe(1);
    const again = plugin.register({ baseUrl: "http://again" });
    (await settling("http://again")).resolve(upstreamAt("http://again"));
    await again;
    expect(host.store.ofType("logger")).toMatchObject([{ upstream: upstreamAt("http://again") }]);
  });
});
