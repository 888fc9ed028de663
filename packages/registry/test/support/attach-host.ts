import { Code, ConnectError } from "@connectrpc/connect";
import {
  type ClientTlsOptions,
  type HostContext,
  type HostExtension,
  type IssueRequest,
  type ServeOptions,
  serve,
} from "@cpg/core";
import { type Attacher, createAttacher } from "../../src/attach/create-attacher.ts";
import { createManagedPlugins } from "../../src/attach/managed-plugins.ts";
import { createPeerDeclarations, type PeerDeclarations } from "../../src/attach/peer-declarations.ts";
import { createProbe } from "../../src/health/create-probe.ts";
import { type AccessOptions, createAccessPolicy } from "../../src/policy/create-access-policy.ts";
import { createUpstreamPolicy, type UpstreamOptions } from "../../src/policy/create-upstream-policy.ts";
import { installRegistryServices } from "../../src/rpc/install-registry-services.ts";
import type { Selector } from "../../src/selection/selection.ts";
import { createRegistryStore } from "../../src/state/create-registry-store.ts";
import type { RegistryStore } from "../../src/state/registry-store.ts";
import { createWatchHub } from "../../src/watch/create-watch-hub.ts";

export interface AttachHostOptions {
  readonly access?: AccessOptions | undefined;
  readonly upstreams?: UpstreamOptions | undefined;
  /** For https plugins. */
  readonly tls?: ClientTlsOptions | undefined;
  readonly serve?:
    | Partial<Pick<ServeOptions<Record<never, never>>, "identityTtlMs" | "maxIdentities" | "clock">>
    | undefined;
}

/** A host with a registry, its policies and what attaches plugins, on a real port. */
export async function startAttachHost(options: AttachHostOptions = {}) {
  const errors: unknown[] = [];
  const onError = (error: unknown) => void errors.push(error);
  const store = createRegistryStore({ onError });
  const hub = createWatchHub({ store, onError });
  let installed: { host: HostContext; attacher: Attacher; declarations: PeerDeclarations } | undefined;

  const extension: HostExtension = {
    name: "registry",
    install(host) {
      const { clock, identities } = host;
      const managed = createManagedPlugins(identities);
      const declarations = createPeerDeclarations({ clock, random: () => 0 });
      const access = createAccessPolicy({
        ...options.access,
        store,
        isManaged: managed.isManaged,
        declarationsOf: declarations.of,
        onError,
      });
      const upstreams = createUpstreamPolicy({ ...options.upstreams, host, known: managed.upstreamOf, onError });
      const { tls } = options;
      const probe = createProbe({ clock, tls });
      const attacher = createAttacher({ host, store, access, upstreams, managed, declarations, probe, tls, onError });
      const services = installRegistryServices(host, {
        store,
        hub,
        selector: firstOf(store),
        access,
        upstreams,
        health: { report() {} },
        declarationsOf: declarations.ask,
        onError,
      });
      installed = { host, attacher, declarations };
      return {
        routes: services.routes,
        shutdown() {
          attacher.close();
          declarations.close();
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
    listen: { port: 0 },
    environment: {},
    handleSignals: false,
    onError,
    ...options.serve,
  });
  if (installed === undefined) throw new Error("not installed");
  const { attacher, declarations } = installed;
  return {
    endpoint: server.endpoint,
    server,
    identities: server.identities,
    store,
    attacher,
    declarations,
    errors,
    /** Issues an identity; the headers are what its holder sends. */
    issue(request: IssueRequest) {
      const { identity, token } = server.identities.issue(request);
      const headers = { "x-plugin-runtime-id": identity.runtimeId, authorization: `Bearer ${token}` };
      return { identity, headers };
    },
    /** What is registered, as "type version provider-self-id path". */
    registered: () =>
      store.types().flatMap((type) =>
        store.ofType(type).map(({ version, providerId, endpointPath }) => {
          return `${type} ${version} ${store.provider(providerId)?.selfId} ${endpointPath}`;
        }),
      ),
    [Symbol.asyncDispose]: () => server.close({ graceMs: 0 }),
  };
}

function firstOf(store: RegistryStore): Selector {
  return {
    select({ type }) {
      const [registration] = store.ofType(type);
      const provider = registration && store.provider(registration.providerId);
      if (registration === undefined || provider === undefined) {
        throw new ConnectError(`nobody provides ${type}`, Code.NotFound);
      }
      return { registration, provider, single: true };
    },
    begin: () => () => {},
    inFlight: () => 0,
  };
}
