import { Code, ConnectError } from "@connectrpc/connect";
import { definePlugin, type PluginServer, serve } from "@cpg/core";
import { Logger } from "@cpg/core/gen/capability/logger/v1/logger_pb";
import { describe, expect, it } from "vitest";
import { type RegistryClientOptions, registryClient } from "../src/client/registry-client.ts";
import { assumedHealthy } from "../src/health/provider-health.ts";
import type { ServiceView } from "../src/watch/service-view.ts";
import { type RegistryHost, startRegistryHost } from "./support/registry-host.ts";

const waitMs = 20_000;
const backoff = { initialMs: 1, maxMs: 20 };

/** A program that uses a host and serves nothing. */
async function joinAs(selfId: string, host: { readonly endpoint: string }, options: RegistryClientOptions = {}) {
  const server: PluginServer = await serve({
    plugins: {},
    impls: {},
    selfId,
    link: { hostUrl: host.endpoint, backoff, heartbeatMs: 100 },
    listen: { port: 0 },
    environment: {},
    handleSignals: false,
  });
  const { link } = server;
  if (link === undefined) throw new Error("it has no link");
  await link.whenLinked({ timeoutMs: waitMs });
  const registry = registryClient(link, { baseUrl: server.endpoint, backoff, ...options });
  return {
    link,
    registry,
    async [Symbol.asyncDispose]() {
      await registry.close();
      await server.close({ graceMs: 0 });
    },
  };
}

const offer = { type: "logger", version: "1.2.0", path: "/capability.logger.v1.Logger/" };

async function nextState(views: AsyncIterator<ServiceView>, state: ServiceView["state"]): Promise<ServiceView> {
  for (;;) {
    const { value, done } = await views.next();
    if (done) throw new Error("the watch ended");
    if (value.state === state) return value;
  }
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return Code[
    ConnectError.from(
      await work.then(
        () => new Error("it worked"),
        (reason: unknown) => reason,
      ),
    ).code
  ];
}

/** A host on a port of its own, which can be started again there. */
async function restart(host: RegistryHost): Promise<RegistryHost> {
  const port = Number(new URL(host.endpoint).port);
  await host.server.close({ graceMs: 0 });
  return await startRegistryHost({ port });
}

describe("a registry client", { timeout: 60_000 }, () => {
  it("registers, finds, and takes back what it registered", async () => {
    await using host = await startRegistryHost();
    await using plugin = await joinAs("offers", host);
    const { registry, link } = plugin;
    const kept = await registry.register({ ...offer, weight: 7, metadata: { zone: "a" } });
    expect(host.store.ofType("logger")).toMatchObject([{ id: kept.registrationId, weight: 7, version: "1.2.0" }]);
    expect(await registry.discover("logger", { minVersion: "1.0.0" })).toMatchObject({
      providerId: link.identity?.runtimeId,
      version: "1.2.0",
      endpointUrl: `/services/logger/${link.identity?.runtimeId}`,
      metadata: { zone: "a" },
      single: true,
    });
    await kept.unregister();
    expect(host.store.ofType("logger")).toEqual([]);
    expect(kept.registrationId).toBeUndefined();
    expect(await codeOf(registry.discover("logger"))).toBe("NotFound");
  });

  it("says what the host refuses, and keeps nothing", async () => {
    await using host = await startRegistryHost();
    await using plugin = await joinAs("refused", host);
    expect(await codeOf(plugin.registry.register({ ...offer, type: "forbidden" }))).toBe("PermissionDenied");
    expect(await codeOf(plugin.registry.register({ ...offer, version: "one" }))).toBe("InvalidArgument");
    await expect(plugin.registry.register({ ...offer, leaseMs: 0 })).rejects.toThrow(RangeError);
    expect(host.store.types()).toEqual([]);
  });

  it("keeps a registration: under a new identity, after the host was restarted", async () => {
    const first = await startRegistryHost();
    await using plugin = await joinAs("keeps", first);
    await plugin.registry.register(offer);
    await using second = await restart(first);
    const registered = await new Promise((resolve) => {
      second.hub.follow("logger", ({ endpoint }) => endpoint && resolve(endpoint.providerId));
    });
    expect(registered).toBe(plugin.link.identity?.runtimeId);
  });

  it("renews a lease before it ends", async () => {
    await using host = await startRegistryHost();
    await using plugin = await joinAs("leases", host);
    await plugin.registry.register({ ...offer, leaseMs: 1_000 });
    const views = host.hub.watch("logger");
    await views.next();
    // Nothing ends within three leases, at which another one would have.
    const other = await joinAs("dies", host);
    await other.registry.register({ ...offer, type: "other", leaseMs: 1_000 });
    await Promise.all([other[Symbol.asyncDispose](), nextState(host.hub.watch("other"), "unavailable")]);
    expect(host.store.ofType("logger")).toHaveLength(1);
  });

  it("watches: first what is, then each change; and goes on when the host is back", async () => {
    const first = await startRegistryHost();
    await using provider = await joinAs("provides", first);
    await using plugin = await joinAs("watches", first);
    const views = plugin.registry.watch("logger");
    expect((await views.next()).value).toMatchObject({ state: "unavailable", providers: [] });
    await provider.registry.register(offer);
    const seen = await nextState(views, "available");
    expect(seen.providers).toHaveLength(1);
    await using second = await restart(first);
    let view = await nextState(views, "available");
    while (view.epoch === seen.epoch) view = await nextState(views, "available");
    expect(view.epoch).toBe(second.store.epoch);
    await views.return?.();
    expect((await views.next()).done).toBe(true);
  });

  it("resumes a watch where it broke, without a gap and without telling twice", async () => {
    await using host = await startRegistryHost();
    await using provider = await joinAs("provides", host);
    await using plugin = await joinAs("resumes", host);
    const kept = await provider.registry.register(offer);
    const views = plugin.registry.watch("logger");
    const { revision } = await nextState(views, "available");
    host.cutStreams();
    await kept.unregister();
    await provider.registry.register({ ...offer, version: "2.0.0" });
    const told = [(await views.next()).value, (await views.next()).value];
    expect(told.map((view) => view?.state)).toEqual(["unavailable", "available"]);
    expect(told.map((view) => view?.restarted)).toEqual([false, false]);
    expect(told[0]?.revision).toBeGreaterThan(revision);
    expect(told[1]?.endpoint?.version).toBe("2.0.0");
  });

  it.each([
    { history: 1_000, told: [1, 2, 3], restarted: [false, false, false] },
    { history: 1, told: [3], restarted: [true] },
  ])(
    "misses nothing over a break, or is told to start over: $history changes kept",
    async ({ history, ...expected }) => {
      await using host = await startRegistryHost({ watchLimits: { history } });
      await using provider = await joinAs("provides", host);
      await using plugin = await joinAs("resumes", host);
      await provider.registry.register(offer);
      const views = plugin.registry.watch("logger");
      const { revision, endpoint } = await nextState(views, "available");
      host.cutStreams();
      // Nobody can have reconnected between these.
      for (const reason of ["a", "b", "c"]) {
        host.store.setHealth(endpoint?.providerId ?? "", { ...assumedHealthy, reason });
      }
      const told: ServiceView[] = [];
      while (told.at(-1)?.providers[0]?.reason !== "c") {
        const { value } = await views.next();
        if (value !== undefined) told.push(value);
      }
      expect(told.map((view) => view.revision - revision)).toEqual(expected.told);
      expect(told.map((view) => view.restarted)).toEqual(expected.restarted);
    },
  );

  it("ends a watch: by its signal, by close, and when the host refuses", async () => {
    await using host = await startRegistryHost();
    await using plugin = await joinAs("ends", host);
    const controller = new AbortController();
    const views = plugin.registry.watch("logger", { signal: controller.signal });
    await views.next();
    const waiting = views.next();
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(await codeOf(plugin.registry.watch("forbidden").next())).toBe("PermissionDenied");
    const other = plugin.registry.watch("logger");
    await other.next();
    const pending = other.next();
    await plugin.registry.close();
    await expect(pending).rejects.toThrow("registry client is closed");
  });
});

describe("the type under which a service is looked for", () => {
  it("is the one that the plugin provides at its path, else its name", async () => {
    await using host = await startRegistryHost();
    await using plugin = await joinAs("types", host);
    const asked = async (provides: { type: string; version: string }[]) => {
      const logger = definePlugin({ name: "log", version: "1.0.0", service: Logger, provides });
      await plugin.registry
        .service(logger)
        .log({})
        .catch(() => {});
      return host.asked.filter(({ action }) => action === "discover").at(-1)?.type;
    };
    expect(await asked([])).toBe("log");
    expect(await asked([{ type: "logger", version: "1.0.0" }])).toBe("logger");
  });
});
