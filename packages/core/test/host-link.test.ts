import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { definePlugin } from "../src/definition/plugin-definition.ts";
import { staticEndpoints } from "../src/discovery/static-endpoints.ts";
import { Logger } from "../src/gen/capability/logger/v1/logger_pb.ts";
import { PluginIdentity } from "../src/gen/connectplugin/v1/plugin_pb.ts";
import { ServiceRegistry } from "../src/gen/connectplugin/v1/registry_pb.ts";
import { RuntimeService } from "../src/gen/cpg/runtime/v1/runtime_pb.ts";
import { createHealthReporter } from "../src/health/health-reporter.ts";
import { createHostLink, type HostLinkEvent, type HostLinkOptions } from "../src/host-link/host-link.ts";
import { admitWhen } from "../src/identity/admission.ts";
import type { ListenAddress } from "../src/listener/listener.ts";
import type { HostExtension } from "../src/server/host-extension.ts";
import { serve } from "../src/server/serve.ts";
import type { LinkOptions } from "../src/server/serve-options.ts";
import { openCallTransport } from "../src/wire/call-transport.ts";
import { parseEndpoint } from "../src/wire/endpoint.ts";

const logger = definePlugin({
  name: "logger",
  version: "1.0.0",
  service: Logger,
  provides: [{ type: "logger", version: "1.0.0" }],
});

interface Registered {
  readonly runtimeId: string;
  readonly baseUrl: string | undefined;
  readonly httpVersions?: string | undefined;
}

/** A registry that holds no more than the tests look at, and streams that stay open. */
function smallRegistry(registered: Map<string, Registered>): HostExtension {
  return {
    name: "small registry",
    install: ({ requireIdentity, draining }) => ({
      routes({ service }) {
        service(
          ServiceRegistry,
          {
            registerService({ metadata }, { requestHeader }) {
              const id = `r${registered.size + 1}`;
              const runtimeId = requestHeader.get("x-plugin-runtime-id") ?? "";
              registered.set(id, { runtimeId, baseUrl: metadata.base_url, httpVersions: metadata.http_versions });
              return { registrationId: id };
            },
            unregisterService({ registrationId }) {
              registered.delete(registrationId);
              return {};
            },
            async *watchService({ serviceType }, { signal }) {
              yield { serviceType };
              await aborted(AbortSignal.any([signal, draining]));
            },
          },
          { interceptors: [requireIdentity] },
        );
      },
    }),
  };
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("there is none");
  return value;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

const alone = { environment: {}, handleSignals: false, graceMs: 1_000 } as const;
const impls = { logger: { log: () => ({}) } };

function startHost(listen: ListenAddress, registered = new Map<string, Registered>()) {
  const extensions = [smallRegistry(registered)];
  return serve({ ...alone, plugins: { logger }, impls, listen, extensions });
}

/** Passes connections on, but for those that begin with the preface of HTTP/2. */
async function startHttp1Proxy(port: number) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", (first) => {
      if (first.toString("latin1").startsWith("PRI")) {
        socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        return;
      }
      const onward = connect(port, "127.0.0.1").on("error", () => socket.destroy());
      sockets.add(onward);
      onward.write(first);
      socket.pipe(onward).pipe(socket);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** A link that is closed with its test, and the events of which can be waited for. */
function startLink(options: Partial<HostLinkOptions>) {
  const events: HostLinkEvent[] = [];
  let look = () => {};
  const link = createHostLink({
    selfId: "my-logger",
    selfVersion: "1.0.0",
    plugins: { logger },
    baseUrl: () => "http://127.0.0.1:1",
    health: createHealthReporter({ plugins: ["logger"] }),
    heartbeatMs: 50,
    backoff: { initialMs: 10, maxMs: 100 },
    onEvent(event) {
      events.push(event);
      look();
    },
    ...options,
  });
  const until = (condition: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      look = () => {
        if (condition()) resolve();
      };
      look();
    });
  return { link, events, until, [Symbol.asyncDispose]: () => link.close() };
}

describe("a link over real sockets", () => {
  it.each(["tcp", "unix"])(
    "outlives a host that dies and returns at the same %s address",
    { timeout: 25_000 },
    async (network) => {
      const directory = await mkdtemp(join(tmpdir(), "cpg-link-"));
      try {
        const registered = new Map<string, Registered>();
        const listen = network === "unix" ? { socketPath: join(directory, "host.sock") } : { port: 0 };
        const first = await startHost(listen);
        await using t = startLink({ hostUrl: first.endpoint });
        t.link.start();
        const before = await t.link.whenLinked();
        await first.close({ graceMs: 0 });
        await t.until(() => t.link.state === "backoff");
        await expect(createClient(RuntimeService, t.link.transport).renewIdentity({})).rejects.toMatchObject({
          code: Code.Unavailable,
        });

        const again = network === "unix" ? listen : { port: Number(new URL(first.endpoint).port) };
        await using second = await startHost(again, registered);
        const after = await t.link.whenLinked();
        expect(after.runtimeId).not.toBe(before.runtimeId);
        expect([...registered.values()]).toEqual([{ runtimeId: after.runtimeId, baseUrl: "http://127.0.0.1:1" }]);
        await createClient(RuntimeService, t.link.transport).renewIdentity({});
        await t.link.close();
        expect(registered.size).toBe(0);
        expect(second.identities?.size).toBe(0);
      } finally {
        await rm(directory, { recursive: true });
      }
    },
  );

  it("shakes hands again after its identity was revoked, though no call shows it", async () => {
    await using host = await startHost({ port: 0 });
    await using t = startLink({ hostUrl: host.endpoint });
    t.link.start();
    const { runtimeId } = await t.link.whenLinked();
    host.identities?.revoke(runtimeId);
    await t.until(() => t.link.identity !== undefined && t.link.identity.runtimeId !== runtimeId);
    expect(t.link.state).toBe("linked");
  });

  it("ends streams of a revoked identity, and opens new ones under the next", async () => {
    await using host = await startHost({ port: 0 });
    await using t = startLink({ hostUrl: host.endpoint, heartbeatMs: 60_000 });
    t.link.start();
    const { runtimeId } = await t.link.whenLinked();
    const registry = createClient(ServiceRegistry, t.link.transport);
    const events = registry.watchService({ serviceType: "logger" })[Symbol.asyncIterator]();
    await events.next();
    host.identities?.revoke(runtimeId);
    await expect(events.next()).rejects.toMatchObject({ code: Code.Unauthenticated });
    // Long before the next sign of life is due: the refused stream has told the link.
    await t.until(() => t.link.identity !== undefined && t.link.identity.runtimeId !== runtimeId);
    const next = registry.watchService({ serviceType: "logger" })[Symbol.asyncIterator]();
    expect(await next.next()).toMatchObject({ value: { serviceType: "logger" } });
    await next.return?.();
  });

  it("sends the credentials of interceptors with the handshake, and its own with all other calls", async () => {
    const registered = new Map<string, Registered>();
    const sent: (string | null)[] = [];
    const admission = admitWhen("api key", ({ headers }) => {
      sent.push(headers.get("authorization"));
      return true;
    });
    const extensions = [smallRegistry(registered)];
    await using host = await serve({
      ...alone,
      plugins: { logger },
      impls,
      listen: { port: 0 },
      extensions,
      admission,
    });
    const apiKey: Interceptor = (next) => (request) => {
      request.header.set("authorization", "Bearer api-key");
      return next(request);
    };
    await using t = startLink({ hostUrl: host.endpoint, interceptors: [apiKey] });
    t.link.start();
    await t.link.whenLinked();
    expect(sent).toEqual(["Bearer api-key"]);
    expect(registered.size).toBe(1);
    const watch = createClient(ServiceRegistry, t.link.transport).watchService({ serviceType: "x" });
    const events = watch[Symbol.asyncIterator]();
    expect(await events.next()).toMatchObject({ value: { serviceType: "x" } });
    await events.return?.();
  });

  it("stays on HTTP/1.1 behind a proxy that speaks nothing else, whatever the host announces", async () => {
    const registered = new Map<string, Registered>();
    await using host = await startHost({ port: 0 }, registered);
    await using proxy = await startHttp1Proxy(Number(new URL(host.endpoint).port));
    await using t = startLink({ hostUrl: proxy.url });
    t.link.start();
    const { runtimeId } = await t.link.whenLinked();
    expect([...registered.values()]).toMatchObject([{ runtimeId }]);
    await createClient(RuntimeService, t.link.transport).renewIdentity({});
    expect(t.events.filter((event) => event.type === "state").map(({ state }) => state)).toEqual([
      "connecting",
      "registering",
      "linked",
    ]);
  });

  it("that nobody answers is closed within its bound", async () => {
    await using host = await startHost({ port: 0 });
    const refuse = new ConnectError("held", Code.Unavailable);
    await using t = startLink({
      hostUrl: host.endpoint,
      interceptors: [
        () => () => {
          throw refuse;
        },
      ],
    });
    t.link.start();
    await t.until(() => t.link.state === "backoff");
    await t.link.close();
    expect(t.link.state).toBe("closed");
  });
});

describe("serve", () => {
  it("registers a plugin at the host that its environment names, and takes it back when it closes", async () => {
    const registered = new Map<string, Registered>();
    await using host = await startHost({ port: 0 }, registered);
    const plugin = await serve({
      ...alone,
      environment: { HOST_URL: host.endpoint },
      plugins: { logger },
      impls,
      listen: { port: 0 },
    });
    const identity = await plugin.link?.whenLinked();
    const { runtimeId } = identity ?? {};
    expect([...registered.values()]).toEqual([{ runtimeId, baseUrl: plugin.endpoint, httpVersions: "1.1,2" }]);
    await plugin.close();
    expect(registered.size).toBe(0);
    expect(host.identities?.size).toBe(0);
  });

  it.each<{ how: string; where: (hosts: string[]) => { environment?: { HOST_URL: string }; link?: LinkOptions } }>([
    { how: "HOST_URL", where: (hosts: string[]) => ({ environment: { HOST_URL: hosts.join() } }) },
    { how: "a list", where: (hosts: string[]) => ({ link: { hostUrl: hosts } }) },
    { how: "a discovery", where: (hosts: string[]) => ({ link: { hostUrl: staticEndpoints(hosts) } }) },
  ])("is linked to the next host of $how when its own goes, and calls that one", async ({ where }) => {
    const first = await startHost({ port: 0 });
    const registered = new Map<string, Registered>();
    await using second = await startHost({ port: 0 }, registered);
    const { environment = {}, link = {} } = where([first.endpoint, second.endpoint]);
    await using plugin = await serve({
      ...alone,
      environment,
      link: { heartbeatMs: 50, backoff: { initialMs: 10, maxMs: 100 }, ...link },
      plugins: { logger },
      impls,
      listen: { port: 0 },
    });
    expect((await plugin.link?.whenLinked())?.hostUrl).toBe(first.endpoint);
    const moved = new Promise<void>((resolve) => {
      plugin.link?.onIdentityChange((identity) => {
        if (identity?.hostUrl === second.endpoint) resolve();
      });
    });
    await first.close({ graceMs: 0 });
    await moved;
    const identity = await plugin.link?.whenLinked();
    expect([...registered.values()]).toMatchObject([{ runtimeId: identity?.runtimeId, baseUrl: plugin.endpoint }]);
    await createClient(Logger, required(plugin.link).transport).log({});
  });

  it("tells HTTP versions only of its own listener, not of what stands before it", async () => {
    const registered = new Map<string, Registered>();
    await using host = await startHost({ port: 0 }, registered);
    const baseUrl = "http://logger.test:8081";
    const link = { hostUrl: host.endpoint, baseUrl };
    await using plugin = await serve({ ...alone, link, plugins: { logger }, impls, listen: { port: 0 } });
    const { runtimeId } = (await plugin.link?.whenLinked()) ?? {};
    expect([...registered.values()]).toEqual([{ runtimeId, baseUrl }]);
  });

  it("takes the identity that a managing host gives, and registers under it", async () => {
    const registered = new Map<string, Registered>();
    const token = "t".repeat(32);
    await using host = await startHost({ port: 0 }, registered);
    await using plugin = await serve({
      ...alone,
      plugins: { logger },
      impls,
      listen: { port: 0 },
      control: { token },
    });
    const calls = openCallTransport({ endpoint: parseEndpoint(plugin.endpoint), httpVersion: "2" });
    try {
      const issued = host.identities?.issue({ selfId: "managed" });
      const runtimeId = issued?.identity.runtimeId ?? "";
      const runtimeToken = issued?.token ?? "";
      await createClient(PluginIdentity, calls.transport).setRuntimeIdentity({
        runtimeId,
        runtimeToken,
        hostUrl: host.endpoint,
        controlToken: token,
      });
      expect(await plugin.link?.whenLinked()).toEqual({ runtimeId, hostUrl: host.endpoint });
      expect([...registered.values()]).toMatchObject([{ runtimeId, baseUrl: plugin.endpoint }]);
    } finally {
      await calls.close();
    }
  });
});
