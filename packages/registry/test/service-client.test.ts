import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { type CloseOptions, definePlugin, type PluginServer, serve } from "@cpg/core";
import { describe, expect, it } from "vitest";
import { createRegistry, registryClient } from "../src/index.ts";
import { startGoLikeHost } from "./support/go-like-host.ts";
import { type Parcel, RelayService } from "./support/relay-service.ts";

const waitMs = 20_000;
const quiet = { listen: { port: 0 }, environment: {}, handleSignals: false } as const;
const backoff = { initialMs: 1, maxMs: 20 };

/** Registered by hand, so that its version is up to the test. */
const relay = definePlugin({ name: "relay", version: "1.0.0", service: RelayService });

async function linked(server: PluginServer) {
  if (server.link === undefined) throw new Error("it has no link");
  await server.link.whenLinked({ timeoutMs: waitMs });
  return registryClient(server.link, { backoff, checkMs: 50 });
}

/** A plugin that answers with its name, and says what becomes of its calls. */
async function startRelay(hostUrl: string, name: string, version = "1.0.0") {
  const ended: string[] = [];
  const { promise: cancelled, resolve: cancel } = Promise.withResolvers<void>();
  const begin = ({ requestHeader, responseHeader, responseTrailer }: HandlerContext): void => {
    responseHeader.set("x-name", name);
    responseTrailer.set("x-end", requestHeader.get("x-asked") ?? "");
  };
  const server = await serve({
    plugins: { relay },
    impls: {
      relay: {
        unary({ text }, context) {
          begin(context);
          if (text === "fail") {
            throw new ConnectError("as asked", Code.Aborted, undefined, [
              { desc: RelayService.method.unary.input, value: { text: name } },
            ]);
          }
          return { text: `${name}: ${text}` };
        },
        async *serverStream({ text, count }, context) {
          begin(context);
          for (let index = 0; index < count; index++) yield { text: `${name}: ${text}`, count: index };
          if (text !== "hold") return;
          context.signal.addEventListener("abort", () => cancel(), { once: true });
          await cancelled;
          ended.push(text);
        },
        async clientStream(parcels, context) {
          begin(context);
          let count = 0;
          for await (const parcel of parcels) count += parcel.count;
          return { text: name, count };
        },
        async *bidiStream(parcels, context) {
          begin(context);
          for await (const { text } of parcels) yield { text: `${name}: ${text}` };
        },
      },
    },
    selfId: name,
    declares: { provides: [{ type: "relay", version }] },
    link: { hostUrl, backoff, heartbeatMs: 100 },
    ...quiet,
  });
  const registry = await linked(server);
  const kept = await registry.register({ type: "relay", version, path: "/cpg.test.v1.RelayService/" });
  const close = async (options?: CloseOptions): Promise<void> => {
    await registry.close();
    await server.close(options);
  };
  return { server, registry, kept, cancelled, close, [Symbol.asyncDispose]: () => close({ graceMs: 0 }) };
}

async function startUser(hostUrl: string) {
  const server = await serve({
    plugins: {},
    impls: {},
    selfId: "user",
    declares: { requires: [{ type: "relay" }] },
    link: { hostUrl, backoff, heartbeatMs: 100 },
    ...quiet,
  });
  const registry = await linked(server);
  return {
    link: server.link,
    registry,
    async [Symbol.asyncDispose]() {
      await registry.close();
      await server.close({ graceMs: 0 });
    },
  };
}

async function startHost() {
  const calls: string[] = [];
  const registry = createRegistry({
    selection: { default: "round-robin" },
    onCall: ({ provider }) => calls.push(provider ?? ""),
  });
  const server = await serve({ plugins: {}, impls: {}, extensions: [registry], ...quiet });
  return { endpoint: server.endpoint, registry, calls, [Symbol.asyncDispose]: () => server.close({ graceMs: 0 }) };
}

async function textsOf(parcels: AsyncIterable<Parcel>): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of parcels) texts.push(text);
  return texts;
}

async function* parcels(...texts: readonly string[]) {
  for (const text of texts) yield { text, count: 2 };
}

describe.each([
  { finds: "by the host, for each call", minVersion: "" },
  { finds: "once, of a least version", minVersion: "0.9.0" },
])("a service whose provider is chosen $finds", { timeout: 60_000 }, ({ minVersion }) => {
  it("is called with all four kinds of calls", async () => {
    await using host = await startHost();
    await using provider = await startRelay(host.endpoint, "one");
    await using user = await startUser(host.endpoint);
    const client = user.registry.service(relay, { type: "relay", minVersion });
    expect((await client.unary({ text: "a" })).text).toBe("one: a");
    expect(await textsOf(client.serverStream({ text: "b", count: 2 }))).toEqual(["one: b", "one: b"]);
    expect(await client.clientStream(parcels("c", "d"))).toMatchObject({ text: "one", count: 4 });
    expect(await textsOf(client.bidiStream(parcels("e", "f")))).toEqual(["one: e", "one: f"]);
    const runtimeId = provider.server.link?.identity?.runtimeId;
    expect(host.calls).toEqual(Array.from({ length: 4 }, () => runtimeId));
  });

  it("passes on headers, trailers, errors with details, and the end of a stream that nobody reads", async () => {
    await using host = await startHost();
    await using provider = await startRelay(host.endpoint, "one");
    await using user = await startUser(host.endpoint);
    const client = user.registry.service(relay, { minVersion });
    const seen: (string | null)[] = [];
    await client.unary(
      {},
      {
        headers: { "x-asked": "this" },
        onHeader: (header) => seen.push(header.get("x-name")),
        onTrailer: (trailer) => seen.push(trailer.get("x-end")),
      },
    );
    expect(seen).toEqual(["one", "this"]);
    const error = ConnectError.from(await client.unary({ text: "fail" }).catch((reason: unknown) => reason));
    expect(error.code).toBe(Code.Aborted);
    expect(error.findDetails(RelayService.method.unary.input)).toMatchObject([{ text: "one" }]);
    for await (const _ of client.serverStream({ text: "hold", count: 1 })) break;
    await provider.cancelled;
  });

  it("goes to another provider when the one is gone", async () => {
    await using host = await startHost();
    const one = await startRelay(host.endpoint, "one");
    await using user = await startUser(host.endpoint);
    const client = user.registry.service(relay, { minVersion });
    expect((await client.unary({})).text).toBe("one: ");
    await using _two = await startRelay(host.endpoint, "two");
    await one.close({ graceMs: 0 });
    // Whoever remembers the one may find it gone, once.
    await client.unary({}).catch(() => {});
    expect((await client.unary({})).text).toBe("two: ");
    expect(host.registry.services()).toMatchObject([{ providers: [{ metadata: { http_versions: "1.1,2" } }] }]);
  });
});

describe("a service of a least version", { timeout: 60_000 }, () => {
  it("goes to a provider that has it, when one comes", async () => {
    await using host = await startHost();
    await using _one = await startRelay(host.endpoint, "one", "9.0.0");
    await using user = await startUser(host.endpoint);
    const client = user.registry.service(relay, { minVersion: "10.0.0" });
    await expect(client.unary({})).rejects.toMatchObject({ code: Code.NotFound });
    await using _two = await startRelay(host.endpoint, "two", "10.0.0");
    expect((await client.unary({})).text).toBe("two: ");
  });
});

describe("under a host like that of connect-plugin-go", { timeout: 60_000 }, () => {
  it("plugins register, find and watch each other, and call", async () => {
    await using host = await startGoLikeHost();
    const one = await startRelay(host.endpoint, "one");
    await using user = await startUser(host.endpoint);
    const { registry } = user;
    expect(await registry.discover("relay")).toMatchObject({ version: "1.0.0", single: true });
    const views = registry.watch("relay");
    expect((await views.next()).value).toMatchObject({ state: "available", providers: [{ version: "1.0.0" }] });

    const client = registry.service(relay);
    expect((await client.unary({ text: "a" })).text).toBe("one: a");
    await client.unary({ text: "b" });
    const foundOnce = host.discovers();
    await client.unary({ text: "c" });
    expect(host.discovers()).toBe(foundOnce);

    await using _two = await startRelay(host.endpoint, "two", "2.0.0");
    await one.close({ graceMs: 0 });
    expect((await views.next()).value).toMatchObject({ state: "available", endpoint: { version: "2.0.0" } });
    await client.unary({}).catch(() => {});
    expect((await client.unary({})).text).toBe("two: ");
    await views.return?.();
  });

  it("a provider that is gone without a word is looked for again", async () => {
    await using host = await startGoLikeHost();
    const one = await startRelay(host.endpoint, "one");
    await using user = await startUser(host.endpoint);
    const client = user.registry.service(relay);
    await client.unary({});
    const found = host.discovers();
    await one.server.close({ graceMs: 0 });
    expect(host.registered()).toHaveLength(1);
    await expect(client.unary({})).rejects.toMatchObject({ code: Code.Unavailable });
    await expect(client.unary({})).rejects.toMatchObject({ code: Code.Unavailable });
    expect(host.discovers()).toBe(found + 1);
    await one.close({ graceMs: 0 });
  });

  it("what was registered is registered again when the host was restarted, which it cannot tell", async () => {
    const first = await startGoLikeHost();
    await using _one = await startRelay(first.endpoint, "one");
    await first[Symbol.asyncDispose]();
    await using second = await startGoLikeHost({ port: first.port });
    await second.nextRegistered();
    expect(second.registered()).toMatchObject([{ type: "relay", version: "1.0.0" }]);
  });
});
