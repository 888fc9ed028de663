import {
  Code,
  ConnectError,
  createClient,
  type HandlerContext,
  type Interceptor,
  type ServiceImpl,
} from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { definePlugin, launchPlugin, type PluginSet, serve } from "@cpg/core";
import { describe, expect, it } from "vitest";
import { createRegistry, type ServiceView } from "../src/index.ts";
import { type RelayOptions, relayInMemory } from "./support/platform-plugins.ts";
import { RelayService } from "./support/relay-service.ts";

/** Of transports of any protocol. */
interface Options {
  readonly baseUrl: string;
  readonly interceptors: Interceptor[];
}

/** A plugin that serves RelayService, with these methods. */
function relayParts(methods: Partial<ServiceImpl<typeof RelayService>>) {
  const relay = definePlugin({
    name: "relay",
    version: "1.0.0",
    service: RelayService,
    provides: [{ type: "relay", version: "1.0.0", path: "/" }],
  });
  return { plugins: { relay }, impls: { relay: methods as ServiceImpl<typeof RelayService> } };
}

/** A host with a registry, and somebody who may call "relay". */
async function setUp() {
  const registry = createRegistry();
  const host = await serve({
    plugins: {},
    impls: {},
    extensions: [registry],
    listen: { port: 0 },
    environment: {},
    handleSignals: false,
  });
  const { identity, token } = host.identities.issue({
    selfId: "caller",
    declares: { provides: [], requires: [{ type: "relay" }] },
  });
  const headers = { "x-plugin-runtime-id": identity.runtimeId, authorization: `Bearer ${token}` };
  const clientTo = (
    provider: string,
    transport = (options: Options) => createConnectTransport({ httpVersion: "2", ...options }),
  ) =>
    createClient(
      RelayService,
      transport({
        baseUrl: `${host.endpoint}/services/relay/${provider}`,
        interceptors: [
          (next) => (request) => {
            for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
            return next(request);
          },
        ],
      }),
    );
  return {
    registry,
    async attach(version: string, standby: boolean, impl: RelayOptions["impl"] = {}) {
      const { strategy, plugins } = relayInMemory("relay", { version, impl, path: "/" });
      const launched = await launchPlugin<PluginSet>({ strategy, plugins });
      return (await registry.attach(launched, { standby })).identity.runtimeId;
    },
    async call(provider = "-"): Promise<string> {
      try {
        return (await clientTo(provider).unary({ text: "hello" })).text;
      } catch (reason) {
        return Code[ConnectError.from(reason).code];
      }
    },
    clientTo,
    [Symbol.asyncDispose]: () => host.close({ graceMs: 0 }),
  };
}

describe("a provider on standby", { timeout: 60_000 }, () => {
  it("gets no calls and is not seen, until it is promoted", async () => {
    await using scene = await setUp();
    const { registry } = scene;
    const seen: ServiceView[] = [];
    registry.follow("relay", (view) => seen.push(view));
    const id = await scene.attach("1.0.0", true);
    expect(registry.providers()).toMatchObject([{ id, standby: true, registrations: [{ type: "relay" }] }]);
    expect(seen.flatMap(({ providers }) => providers)).toEqual([]);
    expect(await scene.call()).toBe("Unavailable");
    expect(await scene.call(id)).toBe("Unavailable");
    expect(registry.promote(id)).toBe(true);
    expect(registry.promote(id)).toBe(false);
    expect(seen.at(-1)).toMatchObject({ state: "available", endpoint: { providerId: id } });
    expect(await scene.call()).toBe("1.0.0 hello");
    expect(await scene.call(id)).toBe("1.0.0 hello");
  });

  it("takes another's place in one change, also for calls that name that one", async () => {
    await using scene = await setUp();
    const { registry } = scene;
    const old = await scene.attach("1.0.0", false);
    const seen: ServiceView[] = [];
    registry.follow("relay", (view) => seen.push(view));
    const next = await scene.attach("2.0.0", true);
    expect(await scene.call(old)).toBe("1.0.0 hello");
    expect(() => registry.succeed(old, "nobody-0000")).toThrow("nobody-0000");
    registry.succeed(old, next);
    expect(seen.length).toBe(2);
    expect(seen[1]).toMatchObject({ state: "available", endpoint: { providerId: next } });
    expect(await scene.call(old)).toBe("2.0.0 hello");
    registry.remove(old);
    expect(await scene.call(old)).toBe("2.0.0 hello");
    const last = await scene.attach("3.0.0", true);
    registry.succeed(next, last);
    expect(await scene.call(old)).toBe("3.0.0 hello");
    registry.remove(last);
    expect(await scene.call(old)).toBe("NotFound");
  });
});

describe("the calls that a provider has", { timeout: 60_000 }, () => {
  it("are told when they have ended, and are cut with unavailable, unary ones and streams", async () => {
    await using scene = await setUp();
    const { registry } = scene;
    const until = ({ signal }: HandlerContext) =>
      new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
    const id = await scene.attach("1.0.0", false, {
      unary: (_, context) => until(context),
      async *serverStream({ text }, context) {
        yield { text };
        await until(context);
      },
    });
    await registry.idle(id);
    await registry.idle("nobody-0000");
    const unary = scene.call(id);
    const stream = scene.clientTo("-").serverStream({ text: "first" })[Symbol.asyncIterator]();
    expect((await stream.next()).value).toMatchObject({ text: "first" });
    await expect.poll(() => registry.providers()[0]?.inFlight).toBe(2);
    let isIdle = false;
    const idle = registry.idle(id).then(() => {
      isIdle = true;
    });
    expect(isIdle).toBe(false);
    expect(registry.cutCalls(id, "its time is over")).toBe(2);
    const error = await stream.next().then(
      () => undefined,
      (reason: unknown) => ConnectError.from(reason),
    );
    expect(error).toMatchObject({ code: Code.Unavailable, rawMessage: "its time is over" });
    expect(await unary).toBe("Unavailable");
    await idle;
    expect(registry.cutCalls(id, "again")).toBe(0);
  });

  const transports = {
    "Connect over HTTP/2": (options: Options) => createConnectTransport({ httpVersion: "2", ...options }),
    "Connect over HTTP/1.1": (options: Options) => createConnectTransport({ httpVersion: "1.1", ...options }),
    gRPC: (options: Options) => createGrpcTransport(options),
    "gRPC-Web over HTTP/1.1": (options: Options) => createGrpcWebTransport({ httpVersion: "1.1", ...options }),
  };

  it.each(Object.keys(transports) as (keyof typeof transports)[])(
    "carried to a socket, are cut as %s ends",
    async (of) => {
      await using scene = await setUp();
      const { plugins, impls } = relayParts({
        async *serverStream({ text }, { signal }) {
          yield { text };
          await new Promise<never>((_, reject) =>
            signal.addEventListener("abort", () => reject(signal.reason), { once: true }),
          );
        },
      });
      await using server = await serve({
        plugins,
        impls,
        listen: { port: 0 },
        environment: {},
        handleSignals: false,
        control: { allowAnyHost: true },
      });
      const provides = [{ type: "relay", version: "1.0.0", path: "/" }];
      const { identity } = await scene.registry.attach(server.endpoint, {
        selfId: "relay",
        provides,
        registerWaitMs: 0,
      });
      const stream = scene.clientTo("-", transports[of]).serverStream({ text: "first" })[Symbol.asyncIterator]();
      expect((await stream.next()).value).toMatchObject({ text: "first" });
      expect(scene.registry.cutCalls(identity.runtimeId, "its time is over")).toBe(1);
      const error = await stream.next().then(
        () => undefined,
        (reason: unknown) => ConnectError.from(reason),
      );
      expect(error).toMatchObject({ code: Code.Unavailable, rawMessage: "its time is over" });
      await scene.registry.idle(identity.runtimeId);
    },
  );
});
