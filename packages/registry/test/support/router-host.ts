import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { type HostContext, type HostExtension, type IssuedIdentity, type ServeOptions, serve } from "@cpg/core";
import type { CallResult } from "../../src/health/health-monitor.ts";
import type { AccessPolicy } from "../../src/policy/access-policy.ts";
import { createRouter } from "../../src/router/create-router.ts";
import { createForwarder } from "../../src/router/forward/create-forwarder.ts";
import type { RoutedCallRecord } from "../../src/router/routed-call-record.ts";
import type { RouterLimits, RouterOptions } from "../../src/router/router-options.ts";
import type { Upstream } from "../../src/router/upstream.ts";
import { createSelector } from "../../src/selection/create-selector.ts";
import type { SelectionName } from "../../src/selection/selection.ts";
import { createRegistryStore } from "../../src/state/create-registry-store.ts";
import type { ServiceFacts } from "../../src/state/registry-store.ts";
import { providerOf, serviceOf } from "./facts.ts";

export interface RouterHostOptions {
  readonly access?: AccessPolicy | undefined;
  readonly limits?: RouterLimits | undefined;
  /** Default "first". */
  readonly selection?: SelectionName | undefined;
  readonly controlTokenOf?: RouterOptions["controlTokenOf"];
  readonly serve?: Partial<Pick<ServeOptions<Record<never, never>>, "identityTtlMs" | "clock">> | undefined;
}

/** A host with a router and a registry, whose records can be waited for. */
export async function startRouterHost(options: RouterHostOptions = {}) {
  const { access = { check() {} }, selection = "first" } = options;
  const store = createRegistryStore({ epoch: "test" });
  const health: string[] = [];
  const errors: unknown[] = [];
  const records = createQueue<RoutedCallRecord>();
  let context: HostContext | undefined;
  let inFlight = (): number => 0;
  const extension: HostExtension = {
    name: "router",
    install(host) {
      context = host;
      const router = createRouter({
        host,
        store,
        selector: createSelector({ store, options: { default: selection } }),
        access,
        health: { callEnded: (id: string, result: CallResult) => void health.push(`${id} ${result}`) },
        forwarder: createForwarder({ clock: host.clock }),
        controlTokenOf: options.controlTokenOf,
        onCall: (record) => records.put(record),
        onError: (error) => void errors.push(error),
        limits: options.limits,
      });
      inFlight = () => router.inFlight;
      return { httpRoutes: [router.route], shutdown: () => router.close() };
    },
  };
  const server = await serve({
    plugins: {},
    impls: {},
    listen: { port: 0 },
    link: false,
    handleSignals: false,
    environment: {},
    extensions: [extension],
    onError: (error) => void errors.push(error),
    ...options.serve,
  });
  const host = (): HostContext => {
    if (context === undefined) throw new Error("not installed");
    return context;
  };
  return {
    endpoint: server.endpoint,
    port: Number(new URL(server.endpoint).port),
    store,
    health,
    errors,
    /** The next record that nobody has waited for yet. */
    nextRecord: () => records.take(),
    get inFlight() {
      return inFlight();
    },
    identities: () => host().identities,
    issue: (selfId: string): IssuedIdentity => host().identities.issue({ selfId }),
    register: (id: string, type: string, facts: Partial<ServiceFacts>) =>
      store.register(providerOf(id), serviceOf(type, facts)),
    close: (graceMs = 0) => server.close({ graceMs }),
    [Symbol.asyncDispose]: async () => void (await server.close({ graceMs: 0 })),
  };
}

export function credentialsOf({ identity, token }: IssuedIdentity): Record<string, string> {
  return { "x-plugin-runtime-id": identity.runtimeId, authorization: `Bearer ${token}` };
}

/** Where a provider over HTTP listens on this machine. */
export function httpUpstream(port: number, http: "1.1" | "2" | "auto" = "auto"): Upstream {
  return {
    kind: "http",
    secure: false,
    address: "127.0.0.1",
    port,
    authority: `127.0.0.1:${port}`,
    servername: undefined,
    basePath: "",
    http,
  };
}

/** A provider of HTTP/1.1. */
export async function startHttpProvider(listener: RequestListener) {
  const seen: Pick<IncomingMessage, "method" | "url" | "headers" | "rawHeaders">[] = [];
  const server = createServer((request, response) => {
    const { method, url, headers, rawHeaders } = request;
    seen.push({ method, url, headers, rawHeaders });
    listener(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    /** Every request that arrived. */
    seen,
    upstream: httpUpstream(port, "1.1"),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function createQueue<T>() {
  const items: T[] = [];
  const waiting: ((item: T) => void)[] = [];
  return {
    put(item: T): void {
      const waiter = waiting.shift();
      if (waiter === undefined) items.push(item);
      else waiter(item);
    },
    take: (): Promise<T> =>
      new Promise((resolve) => {
        const [item] = items.splice(0, 1);
        if (item === undefined) waiting.push(resolve);
        else resolve(item);
      }),
  };
}
