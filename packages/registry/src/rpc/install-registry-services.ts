import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { type HostContext, type RuntimeIdentity, runtimeIdentityKey } from "@cpg/core";
import { callListener } from "@cpg/core/extension";
import { PluginLifecycle } from "@cpg/core/gen/connectplugin/v1/lifecycle_pb";
import { ServiceRegistry } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import type { HealthMonitor } from "../health/health-monitor.ts";
import type { AccessPolicy } from "../policy/access-policy.ts";
import type { UpstreamPolicy } from "../policy/upstream-policy.ts";
import type { Upstream } from "../router/upstream.ts";
import type { Selector } from "../selection/selection.ts";
import type { RegistryStore } from "../state/registry-store.ts";
import type { WatchHub } from "../watch/create-watch-hub.ts";
import { followIdentities } from "./follow-identities.ts";
import { createLeaseKeeper } from "./lease-keeper.ts";
import { createPluginLifecycleService } from "./plugin-lifecycle-service.ts";
import { createServiceRegistryService } from "./service-registry-service.ts";

/** What the RPCs of a registry work on. */
export interface RegistryServiceParts {
  readonly store: RegistryStore;
  readonly hub: WatchHub;
  readonly selector: Selector;
  readonly access: AccessPolicy;
  readonly upstreams: UpstreamPolicy;
  readonly health: Pick<HealthMonitor, "report">;
  /**
   * Learns what a plugin provides and requires that could not say so when it shook hands; called once for each such
   * identity, after its first registration. What it throws or rejects with goes to `onError`.
   */
  readonly declarationsOf?: ((identity: RuntimeIdentity, upstream: Upstream) => unknown) | undefined;
  /** Default: nobody. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

export interface RegistryServices {
  /** Adds the RPCs; each of them needs a runtime identity. */
  routes(router: ConnectRouter): void;
  /** Stops what the RPCs started: leases, and what ties providers to identities. Idempotent. */
  close(): void;
}

/**
 * connectplugin.v1.ServiceRegistry and PluginLifecycle for a host. Watches of plugins end with `unavailable` when the
 * host begins to drain; a provider goes when its identity is taken or given back.
 */
export function installRegistryServices(host: HostContext, parts: RegistryServiceParts): RegistryServices {
  const { identities, clock, draining } = host;
  const { store, hub, declarationsOf, onError = () => {} } = parts;
  const leases = createLeaseKeeper(store, clock, onError);
  const forgetIdentities = followIdentities(store, identities);
  const endWatches = (): void => hub.endHeld(draining.reason);
  draining.addEventListener("abort", endWatches, { once: true });

  /** The identity, as long as it is live: calls may outlast it. */
  const callerOf = (context: HandlerContext): RuntimeIdentity => {
    const identity = context.values.get(runtimeIdentityKey);
    const isLive = identity !== undefined && identities.get(identity.runtimeId) === identity;
    return isLive ? identity : identities.authenticate(context.requestHeader);
  };
  const asked = new WeakSet<RuntimeIdentity>();
  const onRegistered = (identity: RuntimeIdentity, upstream: Upstream): void => {
    if (declarationsOf === undefined || identity.declares !== undefined || asked.has(identity)) return;
    asked.add(identity);
    callListener(() => declarationsOf(identity, upstream), onError);
  };

  return {
    routes(router) {
      const guarded = () => ({ interceptors: [host.requireIdentity], requestGate: host.identityGate });
      const { selector, access, upstreams, health } = parts;
      router.service(
        ServiceRegistry,
        createServiceRegistryService({
          store,
          hub,
          selector,
          access,
          upstreams,
          leases,
          clock,
          draining,
          callerOf,
          onRegistered,
        }),
        guarded(),
      );
      router.service(PluginLifecycle, createPluginLifecycleService({ health, callerOf }), guarded());
    },
    close() {
      draining.removeEventListener("abort", endWatches);
      forgetIdentities();
      leases.close();
    },
  };
}
