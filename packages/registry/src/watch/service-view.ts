import type { HealthLevel } from "../health/provider-health.ts";
import type { Provider, Registration } from "../state/registration.ts";
import type { RegistryStore } from "../state/registry-store.ts";
import { sameMetadata } from "../state/same-facts.ts";

/** available: somebody healthy provides it. degraded: only degraded ones do. unavailable: nobody who can be called. */
export type ServiceAvailability = "available" | "degraded" | "unavailable";

/** One service type at one moment, as watchers see it. */
export interface ServiceView {
  readonly type: string;
  readonly state: ServiceAvailability;
  /** The first of the preferred providers; undefined when the service is unavailable. */
  readonly endpoint: ProviderView | undefined;
  /** All that are registered: healthy ones first, then degraded ones, then those that get no calls. */
  readonly providers: readonly ProviderView[];
  /** Revision of the registry that made it so. */
  readonly revision: number;
  /** The life of the registry in which that revision counts. */
  readonly epoch: string;
  /** Whoever resumed a watch could not go on where it had stopped: changes may be missing before this one. */
  readonly restarted: boolean;
}

/** One provider of a service type. */
export interface ProviderView {
  readonly providerId: string;
  readonly version: string;
  /** Relative to the URL of the host: "/services/{type}/{provider-id}". */
  readonly endpointUrl: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Unhealthy, too, when it did not say where it listens. */
  readonly health: HealthLevel;
  /** For people; may be empty. */
  readonly reason: string;
  /** It finishes the calls it has and gets no new ones. */
  readonly draining: boolean;
}

/** The path below which the router serves one provider of a type. */
export function endpointUrlOf({ type, providerId }: Pick<Registration, "type" | "providerId">): string {
  return `/services/${type}/${providerId}`;
}

/** What a registration of a provider looks like; undefined when either is gone, or the provider is on standby. */
export function providerView(
  registration: Registration | undefined,
  provider: Provider | undefined,
): ProviderView | undefined {
  if (registration === undefined || provider === undefined || provider.standby) return undefined;
  const { version, metadata } = registration;
  const { id: providerId, health, draining } = provider;
  const endpointUrl = endpointUrlOf(registration);
  if (registration.upstream === undefined) {
    const reason = "registered without base_url, so nobody can reach it";
    return { providerId, version, endpointUrl, metadata, health: "unhealthy", reason, draining };
  }
  return { providerId, version, endpointUrl, metadata, health: health.level, reason: health.reason, draining };
}

/** The view of a type that these provide, in the order of their registration. */
export function serviceView(
  type: string,
  registered: Iterable<ProviderView>,
  { revision, epoch }: Pick<RegistryStore, "revision" | "epoch">,
): ServiceView {
  const healthy: ProviderView[] = [];
  const degraded: ProviderView[] = [];
  const uncalled: ProviderView[] = [];
  for (const view of registered) {
    if (view.draining || view.health === "unhealthy") uncalled.push(view);
    else if (view.health === "degraded") degraded.push(view);
    else healthy.push(view);
  }
  return {
    type,
    state: healthy.length > 0 ? "available" : degraded.length > 0 ? "degraded" : "unavailable",
    endpoint: healthy[0] ?? degraded[0],
    providers: healthy.concat(degraded, uncalled),
    revision,
    epoch,
    restarted: false,
  };
}

/** Whether two views look the same to whoever sees all providers. */
export function sameView(a: ServiceView, b: ServiceView): boolean {
  return (
    a.providers.length === b.providers.length &&
    a.providers.every((provider, index) => {
      const other = b.providers[index];
      return provider === other || (other !== undefined && sameProvider(provider, other));
    })
  );
}

/** Whether two views look the same to whoever sees only the state and the preferred endpoint. */
export function sameBasics(a: ServiceView, b: ServiceView): boolean {
  if (a.state !== b.state) return false;
  if (a.endpoint === undefined || b.endpoint === undefined) return a.endpoint === b.endpoint;
  return a.endpoint === b.endpoint || sameEndpoint(a.endpoint, b.endpoint);
}

function sameProvider(a: ProviderView, b: ProviderView): boolean {
  return a.health === b.health && a.reason === b.reason && a.draining === b.draining && sameEndpoint(a, b);
}

function sameEndpoint(a: ProviderView, b: ProviderView): boolean {
  return a.providerId === b.providerId && a.version === b.version && sameMetadata(a.metadata, b.metadata);
}
