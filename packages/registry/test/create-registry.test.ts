import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { definePlugin, launchPlugin, memoryStrategy, type PluginServer, serve } from "@cpg/core";
import { Logger } from "@cpg/core/gen/capability/logger/v1/logger_pb";
import { describe, expect, it } from "vitest";
import { createRegistry, type RegistryOptions, type RoutedCallRecord, registryClient } from "../src/index.ts";

const quiet = { listen: { port: 0 }, environment: {}, handleSignals: false } as const;
const logger = definePlugin({
  name: "logger",
  version: "1.0.0",
  service: Logger,
  provides: [{ type: "logger", version: "1.0.0" }],
});

async function startHost(options: RegistryOptions = {}) {
  const registry = createRegistry(options);
  const host = await serve({ plugins: {}, impls: {}, extensions: [registry], ...quiet });
  return { registry, host, link: { hostUrl: host.endpoint, heartbeatMs: 100 } };
}

async function linked(server: PluginServer) {
  if (server.link === undefined) throw new Error("it has no link");
  await server.link.whenLinked({ timeoutMs: 20_000 });
  return server.link;
}

function provide(link: { hostUrl: string }, logged: string[], name: string): Promise<PluginServer> {
  return serve({
    plugins: { logger },
    impls: {
      logger: {
        log({ message }) {
          logged.push(`${name}: ${message}`);
          return {};
        },
      },
    },
    selfId: name,
    link,
    ...quiet,
  });
}

function use(link: { hostUrl: string }, minVersion = ""): Promise<PluginServer> {
  return serve({
    plugins: {},
    impls: {},
    selfId: "user",
    declares: { requires: [{ type: "logger", minVersion, requiredForStartup: false }] },
    link,
    ...quiet,
  });
}

describe("plugins under one host", { timeout: 60_000 }, () => {
  it("call each other through it, whoever provides, and are seen", async () => {
    const calls: RoutedCallRecord[] = [];
    const { registry, host, link } = await startHost({ onCall: (call) => calls.push(call) });
    const logged: string[] = [];
    await using first = await provide(link, logged, "first");
    await linked(first);
    await using second = await provide(link, logged, "second");
    await linked(second);
    await using user = await use(link);
    await using services = registryClient(await linked(user));
    const log = services.service(logger);
    for (const message of ["a", "b", "c", "d"]) await log.log({ message });
    expect(logged.map((line) => line.slice(-1))).toEqual(["a", "b", "c", "d"]);
    expect(new Set(logged.map((line) => line.split(":")[0]))).toEqual(new Set(["first", "second"]));
    expect(calls.map(({ type, code, attempts }) => ({ type, code, attempts }))).toEqual(
      Array.from({ length: 4 }, () => ({ type: "logger", code: "ok", attempts: 1 })),
    );
    expect(registry.providers().map(({ selfId }) => selfId)).toEqual(["first", "second"]);
    expect(registry.services()).toMatchObject([{ type: "logger", state: "available" }]);
    const graph = registry.graph();
    const [firstId = "", secondId = ""] = registry.providers().map(({ id }) => id);
    const { runtimeId } = await (await linked(user)).whenLinked();
    expect(graph.layers).toEqual([[firstId, secondId], [runtimeId]]);
    expect(graph.impact(firstId)).toMatchObject({ rerouted: [runtimeId], degraded: [] });
    await second.close();
    expect(registry.graph().impact(firstId)).toMatchObject({ rerouted: [], degraded: [runtimeId] });
    await services.close();
    await user.close();
    expect(registry.graph().layers).toEqual([[firstId]]);
    await host.close({ graceMs: 0 });
  });

  it("follow the registry with a least version: to whoever has it now", async () => {
    const { registry, host, link } = await startHost();
    const logged: string[] = [];
    const first = await provide(link, logged, "first");
    await linked(first);
    await using user = await use(link, "1.0.0");
    await using services = registryClient(await linked(user));
    const log = services.service(logger, { minVersion: "1.0.0" });
    await log.log({ message: "a" });
    await using second = await provide(link, logged, "second");
    await linked(second);
    await first.close();
    // At most one call finds the old one gone: it makes the client look again.
    const outcomes = [await codeOf(log.log({ message: "b" })), await codeOf(log.log({ message: "b" }))];
    expect(outcomes[1]).toBeUndefined();
    expect(logged.at(-1)).toBe("second: b");
    expect(Code[(await codeOf(services.service(logger, { minVersion: "2.0.0" }).log({}))) ?? 0]).toBe("NotFound");
    expect(registry.services()[0]?.providers).toHaveLength(1);
    await host.close({ graceMs: 0 });
  });

  it("have one among them that the host launched in its own process, attached", async () => {
    const { registry, host, link } = await startHost();
    const logged: string[] = [];
    const launched = await launchPlugin({
      strategy: memoryStrategy({
        plugins: { logger },
        impls: {
          logger: {
            log({ message }) {
              logged.push(message);
              return {};
            },
          },
        },
      }),
      plugins: { logger },
      host,
    });
    const attached = await registry.attach(launched);
    expect(registry.services()).toMatchObject([{ type: "logger", state: "available" }]);
    await using user = await use(link);
    await using services = registryClient(await linked(user));
    await services.service(logger).log({ message: "to memory" });
    expect(logged).toEqual(["to memory"]);
    const views = registry.watch("logger");
    await views.next();
    await attached.shutdown({ graceMs: 20_000 });
    expect((await views.next()).value).toMatchObject({ state: "unavailable" });
    await host.close({ graceMs: 0 });
  });

  it("lose their calls with their place: drained, then removed", async () => {
    const { registry, host, link } = await startHost();
    await using provider = await provide(link, [], "first");
    const { runtimeId } = await linked(provider).then((own) => own.whenLinked());
    expect(registry.drain(runtimeId)).toBe(true);
    expect(registry.services()).toMatchObject([{ state: "unavailable", providers: [{ draining: true }] }]);
    expect(registry.remove(runtimeId)).toBe(true);
    expect(host.identities.get(runtimeId)).toBeUndefined();
    expect(registry.remove(runtimeId)).toBe(false);
    await host.close({ graceMs: 0 });
  });
});

describe("the least version that a plugin declared to need", { timeout: 60_000 }, () => {
  it("holds when the host chooses the provider", async () => {
    const { host, link } = await startHost();
    await using provider = await provide(link, [], "first");
    await linked(provider);
    await using user = await use(link, "1.0.1");
    const calls = createClient(Logger, (await linked(user)).transportTo("/services/logger/-"));
    expect(await codeOf(calls.log({ message: "too old" }))).toBe(Code.NotFound);
    await host.close({ graceMs: 0 });
  });
});

describe("a registry", () => {
  it("belongs to one host, and attaches nothing before", async () => {
    const { registry, host } = await startHost();
    await expect(serve({ plugins: {}, impls: {}, extensions: [registry], ...quiet })).rejects.toThrow("one host");
    await expect(createRegistry().attach("http://127.0.0.1:9")).rejects.toThrow("no host");
    await host.close({ graceMs: 0 });
  });

  it("names the option that is wrong", () => {
    expect(() => createRegistry({ limits: { watches: 0 } })).toThrow("limits.watches");
    expect(() => createRegistry({ selection: { default: JSON.parse('"best"') } })).toThrow("selection.default");
  });
});

async function codeOf(work: Promise<unknown>): Promise<Code | undefined> {
  return await work.then(
    () => undefined,
    (reason: unknown) => ConnectError.from(reason).code,
  );
}
