import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { type HostExtension, type IssueRequest, type PluginServer, type RuntimeIdentity, serve } from "@cpg/core";
import type { Clock } from "@cpg/resilience";
import type { HealthReport } from "../../src/health/health-monitor.ts";
import type { AccessRequest } from "../../src/policy/access-policy.ts";
import type { Upstream } from "../../src/router/upstream.ts";
import { installRegistryServices } from "../../src/rpc/install-registry-services.ts";
import type { Selector } from "../../src/selection/selection.ts";
import { createRegistryStore, type StoreLimits } from "../../src/state/create-registry-store.ts";
import type { RegistryStore } from "../../src/state/registry-store.ts";
import { createWatchHub, type WatchHub, type WatchLimits } from "../../src/watch/create-watch-hub.ts";

export interface RegistryHost extends AsyncDisposable {
  readonly endpoint: string;
  readonly server: PluginServer;
  readonly store: RegistryStore;
  readonly hub: WatchHub;
  /** What was asked of the access policy, which refuses types that start with "forbidden". */
  readonly asked: AccessRequest[];
  readonly reports: { readonly providerId: string; readonly report: HealthReport }[];
  readonly described: RuntimeIdentity[];
  readonly errors: unknown[];
  /** Issues an identity; the headers are what its holder sends. */
  issue(request: IssueRequest): { readonly id: string; readonly headers: Record<string, string> };
  /** Breaks the watches that are open. */
  cutStreams(): void;
}

export interface RegistryHostOptions {
  /** Default: a free one. */
  readonly port?: number | undefined;
  readonly clock?: Clock | undefined;
  readonly storeLimits?: StoreLimits | undefined;
  readonly watchLimits?: WatchLimits | undefined;
  /** Called for each request to the access policy, which refuses by what it throws. */
  readonly access?: ((request: AccessRequest, store: RegistryStore) => void) | undefined;
  /** Default: wherever base_url says. */
  readonly resolve?: ((baseUrl: string, signal: AbortSignal) => Promise<Upstream>) | undefined;
}

/** The RPCs of a registry on a real port, with the simplest of everything around them. */
export async function startRegistryHost(options: RegistryHostOptions = {}): Promise<RegistryHost> {
  const errors: unknown[] = [];
  const cuts = new Set<(reason: Error) => void>();
  const onError = (error: unknown) => errors.push(error);
  const store = createRegistryStore({ limits: options.storeLimits, onError });
  const hub = createWatchHub({ store, limits: options.watchLimits, onError });
  const asked: AccessRequest[] = [];
  const reports: RegistryHost["reports"] = [];
  const described: RuntimeIdentity[] = [];
  const { resolve = async (baseUrl) => upstreamAt(baseUrl) } = options;

  const extension: HostExtension = {
    name: "registry",
    install(host) {
      const services = installRegistryServices(host, {
        store,
        hub,
        selector: firstOf(store),
        access: {
          check(request) {
            asked.push(request);
            options.access?.(request, store);
            if (request.type.startsWith("forbidden")) throw new ConnectError("not this one", Code.PermissionDenied);
          },
        },
        upstreams: { resolve: (_identity, metadata, signal) => resolve(metadata.base_url ?? "", signal) },
        health: { report: (providerId, report) => void reports.push({ providerId, report }) },
        declarationsOf: (identity) => described.push(identity),
        onError,
      });
      return {
        routes: services.routes,
        shutdown() {
          services.close();
          hub.close();
        },
      };
    },
  };
  const server = await serve({
    plugins: {},
    impls: {},
    extensions: [extension],
    listen: { port: options.port ?? 0 },
    interceptors: [cuttable(cuts)],
    environment: {},
    handleSignals: false,
    onError,
    clock: options.clock,
  });
  return {
    endpoint: server.endpoint,
    server,
    store,
    hub,
    asked,
    reports,
    described,
    errors,
    issue(request) {
      const { identity, token } = server.identities.issue(request);
      const headers = { "x-plugin-runtime-id": identity.runtimeId, authorization: `Bearer ${token}` };
      return { id: identity.runtimeId, headers };
    },
    cutStreams() {
      for (const cut of cuts) cut(new ConnectError("cut by the test", Code.Unavailable));
    },
    [Symbol.asyncDispose]: () => server.close({ graceMs: 0 }),
  };
}

/** Streams that the test can break. */
function cuttable(cuts: Set<(reason: Error) => void>): Interceptor {
  return (next) => async (request) => {
    const response = await next(request);
    if (!response.stream) return response;
    const { promise: cut, reject } = Promise.withResolvers<never>();
    cut.catch(() => {});
    cuts.add(reject);
    const source = response.message[Symbol.asyncIterator]();
    const message = (async function* () {
      try {
        for (;;) {
          const result = await Promise.race([source.next(), cut]);
          if (result.done) return;
          yield result.value;
        }
      } finally {
        cuts.delete(reject);
        void source.return?.();
      }
    })();
    return { ...response, message };
  };
}

export function upstreamAt(authority: string): Upstream {
  return {
    kind: "http",
    secure: false,
    address: "127.0.0.1",
    port: 80,
    authority,
    servername: undefined,
    basePath: "",
    http: "auto",
  };
}

function firstOf(store: RegistryStore): Selector {
  return {
    select({ type }) {
      const [registration, ...others] = store.ofType(type);
      const provider = registration && store.provider(registration.providerId);
      if (registration === undefined || provider === undefined) {
        throw new ConnectError(`nobody provides ${type}`, Code.NotFound);
      }
      return { registration, provider, single: others.length === 0 };
    },
    begin: () => () => {},
    inFlight: () => 0,
  };
}
