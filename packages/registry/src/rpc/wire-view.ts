import { create } from "@bufbuild/protobuf";
import { HealthState } from "@cpg/core/gen/connectplugin/v1/health_pb";
import {
  type ServiceEndpoint,
  ServiceEndpointSchema,
  ServiceState,
  type WatchServiceEvent,
  WatchServiceEventSchema,
} from "@cpg/core/gen/connectplugin/v1/registry_pb";
import type { HealthLevel } from "../health/provider-health.ts";
import type { Registration } from "../state/registration.ts";
import { endpointUrlOf, type ProviderView, type ServiceAvailability, type ServiceView } from "../watch/service-view.ts";

export const wireServiceState = {
  available: ServiceState.AVAILABLE,
  degraded: ServiceState.DEGRADED,
  unavailable: ServiceState.UNAVAILABLE,
} as const satisfies Record<ServiceAvailability, ServiceState>;

export const wireHealth = {
  healthy: HealthState.HEALTHY,
  degraded: HealthState.DEGRADED,
  unhealthy: HealthState.UNHEALTHY,
} as const satisfies Record<HealthLevel, HealthState>;

export function toWireEndpoint(registration: Registration): ServiceEndpoint {
  const { providerId, version, metadata } = registration;
  const endpointUrl = endpointUrlOf(registration);
  return create(ServiceEndpointSchema, { providerId, version, endpointUrl, metadata: { ...metadata } });
}

/** Makes the event of each view once for all who watch. */
export function createEventMaker(): (view: ServiceView, allProviders: boolean) => WatchServiceEvent {
  const basic = new WeakMap<ServiceView, WatchServiceEvent>();
  const full = new WeakMap<ServiceView, WatchServiceEvent>();
  return (view, allProviders) => {
    const known = (allProviders ? full : basic).get(view);
    if (known !== undefined) return known;
    const event = create(WatchServiceEventSchema, {
      serviceType: view.type,
      state: wireServiceState[view.state],
      endpoint: view.endpoint && endpointOf(view.endpoint),
      revision: BigInt(view.revision),
      epoch: view.epoch,
      restarted: view.restarted,
      providers: allProviders ? view.providers.map(providerOf) : [],
    });
    (allProviders ? full : basic).set(view, event);
    return event;
  };
}

function endpointOf({ providerId, version, endpointUrl, metadata }: ProviderView) {
  return { providerId, version, endpointUrl, metadata: { ...metadata } };
}

function providerOf(view: ProviderView) {
  const { health, reason, draining } = view;
  return { endpoint: endpointOf(view), health: wireHealth[health], reason, draining };
}
