import { Code, ConnectError } from "@connectrpc/connect";
import type { HostContext, HostExtension, InstalledExtension } from "@cpg/core";
import { callListener, SERVER_METADATA } from "@cpg/core/extension";
import type { AttachOptions } from "./attach/attach-options.ts";
import type { AttachTarget } from "./attach/attach-target.ts";
import type { AttachedPlugin } from "./attach/attached-plugin.ts";
import { type Attacher, createAttacher } from "./attach/create-attacher.ts";
import { createManagedPlugins } from "./attach/managed-plugins.ts";
import { createPeerDeclarations, type PeerDeclarations } from "./attach/peer-declarations.ts";
import { createDependencyGraph, type DependencyGraph } from "./graph/dependency-graph.ts";
import type { GraphPlugin } from "./graph/graph-plugin.ts";
import { lentByHost } from "./graph/lent-by-host.ts";
import { createHealthMonitor } from "./health/create-health-monitor.ts";
import { createProbe } from "./health/create-probe.ts";
import type { HealthEvent } from "./health/health-event.ts";
import { createAccessPolicy } from "./policy/create-access-policy.ts";
import { createUpstreamPolicy } from "./policy/create-upstream-policy.ts";
import type { RegistryOptions } from "./registry-options.ts";
import { createRouter, type Router } from "./router/create-router.ts";
import { createForwarder } from "./router/forward/create-forwarder.ts";
import { installRegistryServices } from "./rpc/install-registry-services.ts";
import { createSelector } from "./selection/create-selector.ts";
import { createRegistryStore } from "./state/create-registry-store.ts";
import type { Provider, Registration } from "./state/registration.ts";
import type { RevisedChange } from "./state/registry-store.ts";
import { createWatchHub, type WatchOptions } from "./watch/create-watch-hub.ts";
import type { ServiceView } from "./watch/service-view.ts";
import type { ServiceWatch } from "./watch/service-watch.ts";

/** A provider and what it has registered. */
export interface ProviderSnapshot extends Provider {
  readonly registrations: readonly Registration[];
  /** Routed calls that it has not answered yet. */
  readonly inFlight: number;
}

/** Many plugins under one host: who provides what, how they are, and the router between them. */
export interface Registry extends HostExtension {
  /** Rises by one with each change. */
  readonly revision: number;
  /** Names this life of the registry: revisions of another mean nothing here. */
  readonly epoch: string;
  /** Every service type that is registered, as watchers see it. */
  services(): readonly ServiceView[];
  providers(): readonly ProviderSnapshot[];
  /**
   * What becomes of a service type: its present state first, then every change, or the newest for a slow reader. Ends when
   * its reader leaves, and with `unavailable` when the host closes.
   */
  watch(type: string, options?: Pick<WatchOptions, "signal" | "after">): ServiceWatch;
  /** Calls `listener` with the present state of a type, and with each later one. Returns how to stop. */
  follow(type: string, listener: (view: ServiceView) => void): () => void;
  /** Hears of each change, in order. Returns how to stop. */
  onChange(listener: (change: RevisedChange) => void): () => void;
  /**
   * Who needs whom, as far as plugins said what they require: the providers that are registered, then the programs that
   * only use others, by their runtime ids. Such a program is in it until its identity ends: at its close, or, when it
   * crashed, with the time to live. What the host lends, such as by a broker, is provided by "@host", unless a plugin
   * provides that type.
   */
  graph(): DependencyGraph;
  /**
   * Takes a plugin under the wing of the host: one that `launchPlugin` started, or one that runs at an endpoint. It is asked
   * what it is, gets an identity, and what it does not register by itself is registered for it. Calls to it go where the
   * host knows it to be, also to Unix sockets, worker threads and objects of this process.
   * @throws {ConnectError} `unavailable` before the host listens, or when the plugin cannot be reached;
   * `failed_precondition` when its name lacks or is another, or it is attached already; `permission_denied` when it does
   * not take this for its host, or policy forbids what it provides. {RangeError} for bad options.
   */
  attach(target: AttachTarget, options?: AttachOptions): Promise<AttachedPlugin>;
  /**
   * What a provider registers, once it does, gets no calls, and watchers do not see it, until `promote` or `succeed`.
   * Returns how to take that back.
   */
  hold(providerId: string): () => void;
  /** A provider on standby gets calls from now on. False: it is on none. */
  promote(providerId: string): boolean;
  /**
   * Puts one provider in the place of another, in one change that watchers see as one: it leaves standby, the other one
   * drains, and from now on calls that name that one go to it, if it provides their type; until it is removed itself.
   * @throws {ConnectError} `failed_precondition` when one of them is not there.
   */
  succeed(oldProviderId: string, newProviderId: string): void;
  /** Resolves when a provider has no routed call in flight. @throws the reason of the signal, when that aborts first. */
  idle(providerId: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
  /** Ends the routed calls that a provider has in flight, with `unavailable`. Returns how many they were. */
  cutCalls(providerId: string, reason: string): number;
  /** A provider gets no new calls; those it has go on. False: there is none, or it drains already. */
  drain(providerId: string): boolean;
  /** Ends a provider's registrations, its identity and its calls. False: there is none. */
  remove(providerId: string): boolean;
  /**
   * Asked about a type that nobody provides: if somebody is to, such as a plugin that is being restarted, calls to it fail with
   * `unavailable` rather than `not_found`, so that a caller may try again. Returns how to take that back.
   */
  expect(isExpected: (type: string) => boolean): () => void;
}

/**
 * A registry for one host, to be given to `serve` as an extension.
 * @throws {TypeError} {RangeError} for bad options, naming the option.
 * @example
 * const registry = createRegistry();
 * const host = await serve({ plugins: {}, impls: {}, extensions: [registry] });
 */
export function createRegistry(options: RegistryOptions = {}): Registry {
  const { limits = {}, random } = options;
  const onError = (error: unknown): void =>
    callListener(
      () => options.onError?.(error),
      () => {},
    );
  const store = createRegistryStore({ limits, onError });
  const hub = createWatchHub({ store, limits, onError });
  const expectations = new Set<(type: string) => boolean>();
  const isExpected = (type: string): boolean => [...expectations].some((expectation) => expectation(type));
  const selector = createSelector({ store, options: options.selection, random, isExpected, onError });
  if (options.onChange !== undefined) store.onChange(options.onChange);
  let host: HostContext | undefined;
  let attacher: Attacher | undefined;
  let router: Router | undefined;
  let declarations: PeerDeclarations | undefined;

  /** Whoever follows health hears of it there. */
  const warnOfMassSilence = (event: HealthEvent): void => {
    if (event.type !== "mass-silence") return;
    const { serviceType, providers, hidden } = event;
    const what = `${hidden} of ${providers} providers of ${serviceType} do not answer probes, and more follow`;
    process.emitWarning(`${what}: the others are not hidden, as the network is the likelier cause`, {
      code: "CPG_MASS_SILENCE",
    });
  };

  const install = (context: HostContext): InstalledExtension => {
    if (host !== undefined) throw new ConnectError("a registry belongs to one host", Code.FailedPrecondition);
    host = context;
    const { identities, clock } = context;
    const { upstreamTls: tls } = options;
    const managed = createManagedPlugins(identities);
    const known = createPeerDeclarations({ clock, tls, random });
    const access = createAccessPolicy({
      ...options.access,
      store,
      isManaged: managed.isManaged,
      declarationsOf: known.of,
      onError,
    });
    const upstreams = createUpstreamPolicy({ ...options.upstreams, host: context, known: managed.upstreamOf, onError });
    const probe = createProbe({ tls, clock });
    const health = createHealthMonitor({
      store,
      identities,
      probe,
      options: options.health,
      clock,
      random,
      onEvent: options.onHealth ?? warnOfMassSilence,
      onError,
    });
    const forwarder = createForwarder({ clock, tls, limits: limits.connections });
    const routing = createRouter({
      host: context,
      store,
      selector,
      access,
      health,
      forwarder,
      minVersionOf: (identity, type) =>
        known.of(identity)?.requires.find((required) => required.type === type)?.minVersion ?? "",
      controlTokenOf: ({ providerId }) => managed.controlTokenOf(providerId),
      onCall: options.onCall,
      onError,
      limits,
    });
    const services = installRegistryServices(context, {
      store,
      hub,
      selector,
      access,
      upstreams,
      health,
      declarationsOf: known.ask,
      onError,
    });
    const attaching = createAttacher({
      host: context,
      store,
      access,
      upstreams,
      managed,
      declarations: known,
      probe,
      tls,
      onError,
    });
    attacher = attaching;
    router = routing;
    declarations = known;
    return {
      routes: (rpc) => services.routes(rpc),
      httpRoutes: [routing.route],
      handshakeFacts: () => ({ serverMetadata: { [SERVER_METADATA.router]: "1" } }),
      async shutdown() {
        attaching.close();
        known.close();
        services.close();
        hub.close();
        await Promise.all([routing.close(), health.close()]);
      },
    };
  };

  return {
    name: "registry",
    install,
    get revision() {
      return store.revision;
    },
    epoch: store.epoch,
    services: () => store.types().map((type) => hub.view(type)),
    providers: () => store.providers().map((provider) => snapshotOf(provider)),
    watch: (type, watchOptions) => hub.watch(type, watchOptions),
    follow: (type, listener) => hub.follow(type, listener),
    onChange: (listener) => store.onChange(listener),
    graph() {
      const plugins = [...store.providers().map((provider) => graphPlugin(provider)), ...consumers()];
      return createDependencyGraph([...plugins, ...lentByHost(plugins, host?.capabilities() ?? [])]);
    },
    async attach(target, attachOptions) {
      if (attacher === undefined) throw new ConnectError("no host has this registry yet", Code.Unavailable);
      return await attacher.attach(target, attachOptions);
    },
    hold: (providerId) => store.hold(providerId),
    promote: (providerId) => store.promote(providerId),
    succeed(oldProviderId, newProviderId) {
      // Before watchers hear of it: one of them may call at once.
      const isThere = [oldProviderId, newProviderId].every((id) => store.provider(id) !== undefined);
      if (!isThere || oldProviderId === newProviderId) {
        const message = `no provider ${oldProviderId} that ${newProviderId} could take the place of`;
        throw new ConnectError(message, Code.FailedPrecondition);
      }
      router?.succeed(oldProviderId, newProviderId);
      store.succeed(oldProviderId, newProviderId);
    },
    idle: async (providerId, { signal } = {}) => await router?.calls.idle(providerId, signal),
    cutCalls: (providerId, reason) => router?.calls.cut(providerId, new ConnectError(reason, Code.Unavailable)) ?? 0,
    expect(isExpected) {
      const expectation = (type: string): boolean => isExpected(type);
      expectations.add(expectation);
      return () => void expectations.delete(expectation);
    },
    drain: (providerId) => store.setDraining(providerId),
    remove(providerId) {
      const removed = store.removeProvider(providerId, "removed");
      host?.identities.revoke(providerId);
      return removed;
    },
  };

  function snapshotOf(provider: Provider): ProviderSnapshot {
    return { ...provider, registrations: store.ofProvider(provider.id), inFlight: selector.inFlight(provider.id) };
  }

  function graphPlugin({ id, selfId }: Provider): GraphPlugin {
    const provides = store.ofProvider(id).map(({ type, version }) => ({ type, version }));
    const identity = host?.identities.get(id);
    return { id, selfId, provides, requires: identity && declarations?.of(identity)?.requires };
  }

  /** Programs that only use others: they are nowhere but among the identities. */
  function consumers(): GraphPlugin[] {
    return (host?.identities.all() ?? []).flatMap((identity) => {
      const { provides = [], requires = [] } = declarations?.of(identity) ?? {};
      const { runtimeId: id, selfId } = identity;
      const isConsumer = requires.length > 0 && provides.length === 0 && store.ofProvider(id).length === 0;
      return isConsumer ? [{ id, selfId, requires }] : [];
    });
  }
}
