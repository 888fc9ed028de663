import { HealthState } from "@cpg/core/gen/connectplugin/v1/health_pb";
import {
  type ServiceEndpoint,
  type ServiceProvider,
  ServiceState,
  type WatchServiceEvent,
} from "@cpg/core/gen/connectplugin/v1/registry_pb";
import type { HealthLevel } from "../health/provider-health.ts";
import type { ProviderView, ServiceAvailability, ServiceView } from "../watch/service-view.ts";

/** A later protocol may know more states: what is not known gets no calls. */
const states: ReadonlyMap<ServiceState, ServiceAvailability> = new Map([
  [ServiceState.AVAILABLE, "available"],
  [ServiceState.DEGRADED, "degraded"],
]);
const levels: ReadonlyMap<HealthState, HealthLevel> = new Map([
  [HealthState.HEALTHY, "healthy"],
  [HealthState.DEGRADED, "degraded"],
]);

/** What an event says. Of a host that lists no providers there is only the preferred one. */
export function viewFromWire(type: string, event: WatchServiceEvent): ServiceView {
  const state = states.get(event.state) ?? "unavailable";
  const listed = event.providers.flatMap((provider) => providerFromWire(provider) ?? []);
  const endpoint = event.endpoint && state !== "unavailable" ? preferred(event.endpoint, state) : undefined;
  return {
    type,
    state,
    endpoint,
    providers: listed.length === 0 && endpoint !== undefined ? [endpoint] : listed,
    revision: Number(event.revision),
    epoch: event.epoch,
    restarted: event.restarted,
  };
}

function preferred(endpoint: ServiceEndpoint, state: ServiceAvailability): ProviderView {
  return providerView(endpoint, { health: state === "degraded" ? "degraded" : "healthy", reason: "", draining: false });
}

function providerFromWire({ endpoint, health, reason, draining }: ServiceProvider): ProviderView | undefined {
  return endpoint && providerView(endpoint, { health: levels.get(health) ?? "unhealthy", reason, draining });
}

function providerView(
  { providerId, version, endpointUrl, metadata }: ServiceEndpoint,
  facts: Pick<ProviderView, "health" | "reason" | "draining">,
): ProviderView {
  return { providerId, version, endpointUrl, metadata: { ...metadata }, ...facts };
}
