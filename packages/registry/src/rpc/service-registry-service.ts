import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import type { RuntimeIdentity } from "@cpg/core";
import { checkFreeText, checkMinVersion, checkName, within } from "@cpg/core/extension";
import type { ServiceRegistry, WatchServiceRequest } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { type Clock, peerKey } from "@cpg/resilience";
import type { AccessPolicy } from "../policy/access-policy.ts";
import type { UpstreamPolicy } from "../policy/upstream-policy.ts";
import type { Upstream } from "../router/upstream.ts";
import type { Selector } from "../selection/selection.ts";
import type { RegistryStore } from "../state/registry-store.ts";
import type { WatchHub } from "../watch/create-watch-hub.ts";
import { providerFacts } from "./instance-names.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";
import { mappedStream } from "./mapped-stream.ts";
import { readRegistration } from "./read-registration.ts";
import { createRegisterOrder } from "./register-order.ts";
import { createEventMaker, toWireEndpoint } from "./wire-view.ts";

export interface ServiceRegistryDeps {
  readonly store: RegistryStore;
  readonly hub: WatchHub;
  readonly selector: Selector;
  readonly access: AccessPolicy;
  readonly upstreams: UpstreamPolicy;
  readonly leases: LeaseKeeper;
  readonly clock: Clock;
  /** Aborts, with the error for callers, when nothing new is taken. */
  readonly draining: AbortSignal;
  /** The verified caller. @throws {ConnectError} `unauthenticated`. */
  callerOf(context: HandlerContext): RuntimeIdentity;
  /** Hears of each service that was registered, or registered again, and can be reached. */
  onRegistered(identity: RuntimeIdentity, upstream: Upstream): void;
}

/** Bound on settling where a provider is, name resolution included. */
const settleTimeoutMs = 10_000;
const maxIdBytes = 256;
const maxEpochBytes = 64;

/** connectplugin.v1.ServiceRegistry over a store. Everything is checked before anything changes. */
export function createServiceRegistryService(deps: ServiceRegistryDeps): ServiceImpl<typeof ServiceRegistry> {
  const { store, hub, selector, access, upstreams, leases, clock, draining, callerOf, onRegistered } = deps;
  const order = createRegisterOrder();
  const eventOf = createEventMaker();

  return {
    async registerService(request, context) {
      const identity = callerOf(context);
      draining.throwIfAborted();
      const { service, instanceKey } = readRegistration(request);
      const { type, version, metadata } = service;
      const checkedAt = store.revision;
      access.check({ action: "register", identity, type, version });

      const turn = order.begin(identity.runtimeId, type);
      try {
        const upstream = await within(
          clock,
          settleTimeoutMs,
          (signal) => upstreams.resolve(identity, metadata, signal),
          () => new ConnectError(`base_url was not resolved within ${settleTimeoutMs} ms`, Code.Unavailable),
          context.signal,
        );
        // Whoever is gone by now has nothing registered: the caller, its identity, or the host.
        context.signal.throwIfAborted();
        callerOf(context);
        draining.throwIfAborted();
        // Somebody else may have taken the type meanwhile.
        if (store.revision !== checkedAt) access.check({ action: "register", identity, type, version });
        if (!turn.takeEffect()) {
          const newer = store.find(type, identity.runtimeId);
          if (newer === undefined) throw new ConnectError("the service was unregistered meanwhile", Code.Aborted);
          return registered(newer);
        }
        const peer = context.values.get(peerKey) ?? identity.peer;
        const baseUrl = metadata.base_url;
        const provider = providerFacts({ identity, instanceKey, peer, baseUrl, upstream });
        const registration = store.register(provider, { ...service, upstream });
        leases.renew(registration);
        if (upstream !== undefined) onRegistered(identity, upstream);
        return registered(registration);
      } finally {
        turn.end();
      }
    },

    unregisterService({ registrationId }, context) {
      const { runtimeId } = callerOf(context);
      checkFreeText("registration_id", registrationId, maxIdBytes);
      const registration = store.registration(registrationId);
      if (registration === undefined) {
        throw new ConnectError("registration_id names no registration", Code.NotFound);
      }
      if (registration.providerId !== runtimeId) {
        throw new ConnectError("only the plugin that registered a service may unregister it", Code.PermissionDenied);
      }
      order.takenBack(runtimeId, registration.type);
      store.unregister(registrationId, "unregistered");
      return {};
    },

    discoverService({ serviceType: type, minVersion }, context) {
      const identity = callerOf(context);
      checkName("service_type", type);
      checkMinVersion("min_version", minVersion);
      access.check({ action: "discover", identity, type });
      const { registration, single } = selector.select({ type, minVersion, callerId: identity.runtimeId });
      return { endpoint: toWireEndpoint(registration), singleProvider: single };
    },

    watchService(request, context) {
      const identity = callerOf(context);
      const { serviceType: type, allProviders } = request;
      checkName("service_type", type);
      const after = readCursor(request);
      access.check({ action: "watch", identity, type });
      const { signal } = context;
      const watch = hub.watch(type, { signal, holder: identity.runtimeId, after, basics: !allProviders });
      return mappedStream(watch, (view) => eventOf(view, allProviders));
    },
  };
}

function registered({ id, leaseMs }: { readonly id: string; readonly leaseMs: number | undefined }) {
  return { registrationId: id, ...(leaseMs !== undefined && { lease: durationFromMs(leaseMs) }) };
}

/** Where a watch goes on; undefined when it is a new one. A revision too large to be ours is unknown like any other. */
function readCursor({ afterRevision, epoch }: WatchServiceRequest) {
  checkFreeText("epoch", epoch, maxEpochBytes);
  return epoch === "" && afterRevision === 0n ? undefined : { revision: Number(afterRevision), epoch };
}
