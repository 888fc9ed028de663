import { once } from "node:events";
import { createServer } from "node:net";
import { createPluginClient, type PluginServer } from "@cpg/core";
import { kvPlugin as kv } from "@cpg/example-kv";
import { registryClient } from "@cpg/registry";
import { afterAll, beforeAll, describe, expect, vi } from "vitest";
import { killHostOfTen } from "./interop/host-of-ten.ts";
import { bytes, kvAt, type Proof, proofAt, routedKv, seen, startHost, startKvPlugin, text } from "./interop/kv.ts";
import { createMatrix } from "./interop/matrix.ts";
import { buildGoPeers, has, linesOf, makePythonEnvironment, type Peer, startPeer } from "./interop/peers.ts";

const peers = await prepare();

/** What the programs are run with; undefined where that cannot be had, but not in CI. */
async function prepare() {
  try {
    if (!has("go", "version") || !has("python3", "-c", "import venv")) throw new Error("Go or Python is not installed");
    return { go: await buildGoPeers(), python: await makePythonEnvironment() };
  } catch (reason) {
    if (process.env.CI !== undefined) throw reason;
    console.warn(
      "Interoperation is not tested. It needs Go 1.24, Python 3.9 with venv, and their package registries:",
      reason,
    );
    return undefined;
  }
}

const { cell, isInReadme } = createMatrix();
const waitMs = 30_000;
const patience = { timeout: waitMs, interval: 10 };
/** Where the messages are described. */
const descriptors = new URL("../node_modules/.cache/interop", import.meta.url).pathname;
const stateOf = (event: { readonly key: string }): string => event.key;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}

async function linked(server: PluginServer) {
  if (server.link === undefined) throw new Error("it has no link");
  await server.link.whenLinked({ timeoutMs: waitMs });
  return server.link;
}

describe.skipIf(peers === undefined)("interoperation", { timeout: 60_000 }, () => {
  const { go, python } = peers ?? { go: "", python: "" };
  const open: AsyncDisposable[] = [];
  const keep = <Resource extends AsyncDisposable>(resource: Resource): Resource => {
    open.push(resource);
    return resource;
  };
  const goPlugin = async (env: Record<string, string>): Promise<Peer> => keep(await startPeer(go, ["plugin"], env));
  afterAll(async () => {
    for (const resource of open.reverse()) await resource[Symbol.asyncDispose]();
  });

  describe("a Go plugin that registers itself", () => {
    const row = "Go plugin that registers itself, our host";
    let scene: Awaited<ReturnType<typeof startHost>>;
    let one: Peer;
    let ours: PluginServer;
    const idOf = (type: string): string =>
      scene.registry.services().find((view) => view.type === type)?.endpoint?.providerId ?? "";
    const stateAt = (type: string) => scene.registry.services().find((view) => view.type === type)?.state;
    const user = async () => registryClient(await linked(ours));

    beforeAll(async () => {
      scene = await startHost();
      keep(scene.host);
      one = await goPlugin({ HOST_URL: scene.url, SELF_ID: "Go-One", PROVIDES: "go-kv" });
      ours = keep(await startKvPlugin(scene.url));
      await linked(ours);
      await vi.waitFor(() => expect(stateAt("ts-kv")).toBe("available"), patience);
    });

    cell(row, "handshake and identity", async () => {
      expect(scene.registry.providers().find(({ selfId }) => selfId === "Go-One")?.id).toMatch(/^go-one-./);
    });
    cell(row, "register", async () => {
      expect(stateAt("go-kv")).toBe("available");
    });
    cell(row, "report health", async () => {
      await kvAt(one.url).put({ key: "report", value: bytes("DEGRADED") });
      expect(stateAt("go-kv")).toBe("degraded");
      await kvAt(one.url).put({ key: "report", value: bytes("UNHEALTHY") });
      expect(stateAt("go-kv")).toBe("unavailable");
      await kvAt(one.url).put({ key: "report", value: bytes("HEALTHY") });
      expect(stateAt("go-kv")).toBe("available");
    });
    cell(row, "discover it", async () => {
      const services = await user();
      expect(await services.discover("go-kv")).toMatchObject({ providerId: idOf("go-kv"), version: "1.0.0" });
    });
    cell(row, "call TS → Go", async () => {
      const store = (await user()).service(kv, { type: "go-kv" });
      await store.put({ key: "a", value: bytes("größe") });
      expect(text((await store.get({ key: "a" })).value)).toBe("größe");
      expect(text((await store.get({ key: "caller" })).value)).toBe(idOf("ts-kv"));
    });
    cell(row, "stream TS ← Go", async () => {
      const store = (await user()).service(kv, { type: "go-kv" });
      const keys = seen(store.watch({ prefix: "s" }), ({ key }) => key, "s2");
      await expect
        .poll(async () => {
          await store.put({ key: "s2", value: bytes("") });
          return await Promise.race([keys, new Promise((resolve) => setImmediate(resolve, "not yet"))]);
        })
        .toEqual(["", "s2"]);
    });
    cell(row, "call Go → TS", async () => {
      await kvAt(ours.endpoint).put({ key: "b", value: bytes("from TS") });
      expect(text((await kvAt(one.url).get({ key: "ask:ts-kv:b" })).value)).toBe("from TS");
    });
    cell(row, "call Go → Go", async () => {
      await using other = await startPeer(go, ["plugin"], {
        HOST_URL: scene.url,
        SELF_ID: "go-two",
        PROVIDES: "go-kv-2",
      });
      await kvAt(one.url).put({ key: "c", value: bytes("from Go") });
      expect(text((await kvAt(other.url).get({ key: "ask:go-kv:c" })).value)).toBe("from Go");
    });
    cell(row, "watch", async () => {
      const states: string[] = [];
      for await (const { key } of kvAt(one.url).watch({ prefix: "service:come-and-go" })) {
        states.push(key);
        if (states.length === 1) {
          const plugin = keep(await startKvPlugin(scene.url, "come-and-go"));
          void linked(plugin);
        }
        if (states.length === 2) await scene.registry.remove(idOf("come-and-go"));
        if (states.length === 3) break;
      }
      expect(states).toEqual(["UNAVAILABLE", "AVAILABLE", "UNAVAILABLE"]);
    });
    cell(row, "unregister", async () => {
      const plugin = await goPlugin({ HOST_URL: scene.url, SELF_ID: "go-short", PROVIDES: "go-short" });
      expect(stateAt("go-short")).toBe("available");
      await kvAt(plugin.url).put({ key: "unregister" });
      expect(stateAt("go-short")).toBeUndefined();
    });
    cell(row, "log through the host", async () => {
      await kvAt(one.url).put({ key: "log", value: bytes("hello from Go") });
      expect(scene.logged).toContainEqual(expect.objectContaining({ plugin: idOf("go-kv"), message: "hello from Go" }));
      const [grant] = scene.broker.grants();
      expect(grant).toMatchObject({ holder: idOf("go-kv"), type: "logger", reason: "to log" });
    });
    cell(row, "no base_url", async () => {
      await goPlugin({ HOST_URL: scene.url, SELF_ID: "go-nowhere", PROVIDES: "go-nowhere", NOWHERE: "1" });
      expect(stateAt("go-nowhere")).toBe("unavailable");
      await expect((await user()).service(kv, { type: "go-nowhere" }).get({})).rejects.toMatchObject({ code: 14 });
    });
    cell(row, "killed", async () => {
      const plugin = await goPlugin({ HOST_URL: scene.url, SELF_ID: "go-dying", PROVIDES: "go-dying" });
      plugin.kill("SIGKILL");
      await plugin.exited;
      await expect.poll(() => stateAt("go-dying")).toBe("unavailable");
    });
  });

  describe("a Go plugin that our host attaches", () => {
    const row = "Go plugin, attached by our host";
    cell(row, "identity, registration, health, routed call, shutdown", async () => {
      const { host, registry, url } = await startHost();
      keep(host);
      const plugin = await goPlugin({ SELF_ID: "go-managed", PROVIDES: "go-kv" });
      const attached = await registry.attach(plugin.url, { registerWaitMs: 0 });
      expect(attached.identity.runtimeId).toMatch(/^go-managed-/);
      expect(await attached.health()).toMatchObject({ level: "healthy" });
      const store = routedKv(url, "go-kv", await proofAt(url, "caller"), "connect");
      await store.put({ key: "a", value: bytes("1") });
      expect(text((await store.get({ key: "a" })).value)).toBe("1");
      await attached.shutdown({ graceMs: 0 });
      await Promise.all([plugin.exited, attached.detached]);
      expect(registry.services()).toEqual([]);
    });
  });

  describe("our plugin under a Go host", () => {
    const row = "our plugin that registers itself, Go host";
    let host: Peer;
    let ours: PluginServer;
    let goOne: Peer;
    beforeAll(async () => {
      host = keep(await startPeer(go, ["host"]));
      ours = keep(await startKvPlugin(host.url));
      goOne = await goPlugin({ HOST_URL: host.url, SELF_ID: "go-one", PROVIDES: "go-kv" });
      await linked(ours);
    });

    cell(row, "handshake, identity and register", async () => {
      expect(ours.link?.identity?.runtimeId).toMatch(/^ts-kv-plugin-/);
      await expect
        .poll(() =>
          kvAt(goOne.url)
            .get({ key: "ask:ts-kv:a" })
            .catch(() => undefined),
        )
        .toBeDefined();
    });
    cell(row, "discover", async () => {
      const services = registryClient(await linked(ours));
      expect(await services.discover("go-kv")).toMatchObject({ version: "1.0.0" });
    });
    cell(row, "call TS → Go", async () => {
      const store = registryClient(await linked(ours)).service(kv, { type: "go-kv" });
      await store.put({ key: "a", value: bytes("x") });
      expect(text((await store.get({ key: "a" })).value)).toBe("x");
    });
    cell(row, "call Go → TS", async () => {
      await kvAt(ours.endpoint).put({ key: "b", value: bytes("from TS") });
      expect(text((await kvAt(goOne.url).get({ key: "ask:ts-kv:b" })).value)).toBe("from TS");
    });
    cell(row, "watch", async () => {
      const views = registryClient(await linked(ours)).watch("go-late");
      expect((await views.next()).value).toMatchObject({ state: "unavailable" });
      const late = await goPlugin({ HOST_URL: host.url, SELF_ID: "go-late", PROVIDES: "go-late" });
      expect((await views.next()).value).toMatchObject({ state: "available" });
      await kvAt(late.url).put({ key: "unregister" });
      expect((await views.next()).value).toMatchObject({ state: "unavailable" });
      await views.return?.();
    });
    cell(row, "health is reported", async () => {
      // A Go host tells those who watch already nothing of health.
      const stateNow = async () => (await seen(kvAt(goOne.url).watch({ prefix: "service:ts-kv" }), stateOf, 1))[0];
      ours.health.set("kv", "not-serving");
      await vi.waitFor(async () => expect(await stateNow()).toBe("UNAVAILABLE"), patience);
      ours.health.set("kv", "serving");
      await vi.waitFor(async () => expect(await stateNow()).toBe("AVAILABLE"), patience);
    });
    cell(row, "unregister at close", async () => {
      const short = await startKvPlugin(host.url, "ts-short");
      await linked(short);
      const states = kvAt(goOne.url).watch({ prefix: "service:ts-short" });
      expect(await seen(states, stateOf, "AVAILABLE")).toContain("AVAILABLE");
      await short.close();
      const after = kvAt(goOne.url).watch({ prefix: "service:ts-short" });
      expect(await seen(after, stateOf, "UNAVAILABLE")).toEqual(["UNAVAILABLE"]);
    });
    cell(row, "host restarted", async () => {
      const port = String(await freePort());
      const first = await startPeer(go, ["host"], { PORT: port });
      const plugin = keep(await startKvPlugin(first.url, "ts-stays"));
      await linked(plugin);
      await first[Symbol.asyncDispose]();
      const second = keep(await startPeer(go, ["host"], { PORT: port }));
      const asker = await goPlugin({ HOST_URL: second.url, SELF_ID: "asker", PROVIDES: "asker" });
      const states = kvAt(asker.url).watch({ prefix: "service:ts-stays" });
      expect(await seen(states, stateOf, "AVAILABLE")).toContain("AVAILABLE");
    });
  });

  describe("our plugin that a Go host manages", () => {
    const row = "our plugin, managed by a Go host";
    cell(row, "identity, register, report health, routed call, shutdown", async () => {
      const host = keep(await startPeer(go, ["host"]));
      const goOne = await goPlugin({ HOST_URL: host.url, SELF_ID: "go-one", PROVIDES: "go-kv" });
      // Go hosts do not say where they are, so a plugin that is not at their default port has to know.
      const plugin = keep(await startKvPlugin(host.url, "ts-managed"));
      await linked(plugin);
      const answer = await fetch(`${host.url}/manage?endpoint=${plugin.endpoint}`);
      expect(await answer.text()).toMatch(/^ts-managed-plugin-/);
      await kvAt(plugin.endpoint).put({ key: "b", value: bytes("managed") });
      expect(text((await kvAt(goOne.url).get({ key: "ask:ts-managed:b" })).value)).toBe("managed");
      const stopped = await fetch(`${host.url}/stop?endpoint=${plugin.endpoint}`);
      expect(await stopped.text()).toBe("HEALTH_STATE_HEALTHY");
      await plugin.closed;
    });
  });

  describe("a client and a plugin without a host", () => {
    cell("Go client, our plugin", "dispense, unary, stream", async () => {
      const plugin = keep(await startKvPlugin(undefined));
      expect(await linesOf(go, ["client"], { ENDPOINT: plugin.endpoint })).toEqual([
        "dispensed /kv.v1.KVService/",
        "got größe true",
        "deleted true",
        "saw EVENT_TYPE_PUT a.key",
        "saw EVENT_TYPE_DELETE a.key",
      ]);
    });
    cell("our client, Go plugin", "dispense, unary, stream", async () => {
      const plugin = await goPlugin({});
      await using client = createPluginClient({ endpoint: plugin.url, plugins: { kv } });
      const store = await client.dispense("kv");
      const keys: string[] = [];
      const answers: unknown[] = [];
      for await (const { key, type } of store.watch({ prefix: "a" })) {
        keys.push(`${type} ${key}`);
        if (keys.length === 1) {
          await store.put({ key: "a.key", value: bytes("größe") });
          answers.push(text((await store.get({ key: "a.key" })).value));
          answers.push((await store.delete({ key: "a.key" })).found);
        }
        if (keys.length === 3) break;
      }
      expect(answers).toEqual(["größe", true]);
      expect(keys).toEqual(["0 ", "1 a.key", "2 a.key"]);
    });
  });

  describe("a Python plugin", () => {
    const row = "Python plugin (grpcio) that registers itself, our host";
    let scene: Awaited<ReturnType<typeof startHost>>;
    let proof: Proof;
    let plugin: Peer;
    let ours: PluginServer;
    const stateAt = (type: string) => scene.registry.services().find((view) => view.type === type)?.state;
    beforeAll(async () => {
      scene = await startHost();
      keep(scene.host);
      ours = keep(await startKvPlugin(scene.url));
      await linked(ours);
      await vi.waitFor(() => expect(stateAt("ts-kv")).toBe("available"), patience);
      const args = [new URL("../python/plugin.py", import.meta.url).pathname];
      plugin = keep(
        await startPeer(python, args, {
          HOST_URL: scene.url,
          DESCRIPTORS: descriptors,
        }),
      );
      proof = await proofAt(scene.url, "caller");
    });

    cell(row, "handshake, identity, register", async () => {
      expect(scene.registry.providers().find(({ selfId }) => selfId === "python-plugin")?.id).toMatch(
        /^python-plugin-/,
      );
      expect(stateAt("python-kv")).toBe("available");
    });
    cell(row, "call TS → Python", async () => {
      const store = routedKv(scene.url, "python-kv", proof, "grpc");
      await store.put({ key: "a", value: bytes("größe") });
      expect(text((await store.get({ key: "a" })).value)).toBe("größe");
      expect(text((await store.get({ key: "caller" })).value)).toBe(proof.runtimeId);
    });
    cell(row, "call Python → TS", async () => {
      await kvAt(ours.endpoint).put({ key: "b", value: bytes("from TS") });
      expect(text((await kvAt(plugin.url, "grpc").get({ key: "ask:ts-kv:b" })).value)).toBe("from TS");
    });
    cell(row, "killed", async () => {
      plugin.kill("SIGKILL");
      await plugin.exited;
      await vi.waitFor(() => expect(stateAt("python-kv")).toBe("unavailable"), patience);
    });
  });

  describe.skipIf(process.platform !== "linux")("a host of ten plugins, in Go and in Python too", () => {
    cell("ten plugins (8 ours, Go, Python) that our host launches", "nothing left after SIGKILL of the host", () =>
      killHostOfTen({ GO: go, PYTHON: python, DESCRIPTORS: descriptors }),
    );
  });

  isInReadme();
});
