import type { ProviderHealth } from "../health/provider-health.ts";
import type { Upstream } from "../router/upstream.ts";
import type { Provider, Registration } from "./registration.ts";

/** Who registers. */
export interface ProviderFacts {
  readonly id: string;
  readonly selfId: string;
  /** Names the instance: a key that it has proven, or, of one that has none, its place. */
  readonly instance: string;
  /** Where it is and comes from: a second name, by which an instance is known again too. */
  readonly place?: string | undefined;
  /** It is to get no calls yet; looked at when it comes. Default false. */
  readonly standby?: boolean | undefined;
}

export interface ServiceFacts {
  readonly type: string;
  readonly version: string;
  readonly endpointPath: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly weight: number;
  readonly leaseMs: number | undefined;
  readonly upstream: Upstream | undefined;
}

/** Why a provider or a registration is gone. */
export type RemovalCause = "unregistered" | "superseded" | "revoked" | "released" | "lease-ended" | "removed";

/** What happened, told after it did. */
export type RegistryChange =
  | { readonly type: "registered"; readonly registration: Registration; readonly provider: Provider }
  /** The same provider registered the same type again, with other facts. */
  | { readonly type: "updated"; readonly registration: Registration; readonly before: Registration }
  | { readonly type: "unregistered"; readonly registration: Registration; readonly cause: RemovalCause }
  | { readonly type: "provider-added"; readonly provider: Provider }
  /** Health, draining or standby. */
  | { readonly type: "provider-changed"; readonly provider: Provider; readonly before: Provider }
  | { readonly type: "provider-removed"; readonly provider: Provider; readonly cause: RemovalCause };

/** A change and the revision that it made. */
export type RevisedChange = RegistryChange & { readonly revision: number };

/**
 * The registry's state behind its lookups, all O(1) or as long as what they return. Arrays returned are not modified
 * later: the next state has others.
 */
export interface RegistryStore {
  /** Rises by one with each change. */
  readonly revision: number;
  /** Of this life of the registry: revisions of another epoch mean nothing here. */
  readonly epoch: string;
  provider(id: string): Provider | undefined;
  registration(id: string): Registration | undefined;
  /** All of a type, in the order of their registration. */
  ofType(type: string): readonly Registration[];
  ofProvider(providerId: string): readonly Registration[];
  find(type: string, providerId: string): Registration | undefined;
  types(): readonly string[];
  providers(): readonly Provider[];

  /**
   * Registers, or registers again. A provider of the same instance under another id is removed first ("superseded").
   * @throws {ConnectError} `resource_exhausted` when a limit is reached; nothing has changed then.
   */
  register(provider: ProviderFacts, service: ServiceFacts): Registration;
  /** False when there is no such registration. A provider without registrations is removed with its last one. */
  unregister(registrationId: string, cause: RemovalCause): boolean;
  removeProvider(providerId: string, cause: RemovalCause): boolean;
  setHealth(providerId: string, health: ProviderHealth): boolean;
  setDraining(providerId: string): boolean;
  /** What this provider registers, once it does, is on standby until `promote`. Returns how to take that back. */
  hold(providerId: string): () => void;
  /** Ends the standby of a provider, also of one that has not come yet. False: it is on none. */
  promote(providerId: string): boolean;
  /** Ends the standby of one provider and lets the other drain, in one. False: one of them is not there. */
  succeed(oldProviderId: string, newProviderId: string): boolean;

  /** Hears each change once it has happened, in order. What it throws goes to `onError`. Returns how to stop. */
  onChange(listener: (change: RevisedChange) => void): () => void;
}
