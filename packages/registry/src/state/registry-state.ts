import { assumedHealthy } from "../health/provider-health.ts";
import { emptyMap, lookUp, type PersistentMap, withEntry, withoutEntry } from "./persistent-map.ts";
import type { Provider, Registration } from "./registration.ts";
import type { ProviderFacts, RegistryChange, RevisedChange } from "./registry-store.ts";

/** One provider and what it has registered. */
export interface ProviderEntry {
  readonly provider: Provider;
  /** By service type, in the order of their registration. */
  readonly registrations: ReadonlyMap<string, Registration>;
  /** Revision at which it came. */
  readonly sinceRevision: number;
}

/** All that the registry knows. Never modified. */
export interface RegistryState {
  /** Number of changes so far. */
  readonly revision: number;
  /** By runtime id. */
  readonly providers: PersistentMap<ProviderEntry>;
  /** By their own id. */
  readonly registrations: PersistentMap<Registration>;
  /** By service type, in the order of their registration; no type without any. */
  readonly types: PersistentMap<readonly Registration[]>;
  /** Runtime id by what names the instance: its key, and its place. */
  readonly instances: PersistentMap<string>;
}

export const emptyState: RegistryState = {
  revision: 0,
  providers: emptyMap(),
  registrations: emptyMap(),
  types: emptyMap(),
  instances: emptyMap(),
};

/** By what an instance is known again. */
export function instanceNames({ instance, place }: Pick<ProviderFacts, "instance" | "place">): readonly string[] {
  return place === undefined ? [instance] : [instance, place];
}

export function newProvider({ id, selfId, instance, place, standby = false }: ProviderFacts): Provider {
  return { id, selfId, instance, place, health: assumedHealthy, draining: false, standby };
}

/** The state after all of these changes, and the changes with the revisions that they made. */
export function afterChanges(
  state: RegistryState,
  changes: readonly RegistryChange[],
): { readonly state: RegistryState; readonly changes: readonly RevisedChange[] } {
  let next = state;
  const revised = changes.map((change) => {
    next = afterChange(next, change);
    return { ...change, revision: next.revision };
  });
  return { state: next, changes: revised };
}

/**
 * The state after one change that is possible in it; which ones are, registry-decisions.ts decides. Pure.
 *
 * | change           | what becomes different                                                        |
 * |------------------|-------------------------------------------------------------------------------|
 * | provider-added   | the provider is there, without registrations, and known by its instance names |
 * | provider-changed | the provider is another                                                       |
 * | provider-removed | neither the provider nor its instance names are there; it had no registrations |
 * | registered       | the registration is there: by id, as the last of its type, and of its provider |
 * | updated          | the registration has other facts, in the same places                          |
 * | unregistered     | the registration is nowhere                                                   |
 * | any              | the revision is one higher                                                    |
 */
export function afterChange(state: RegistryState, change: RegistryChange): RegistryState {
  const revision = state.revision + 1;
  switch (change.type) {
    case "provider-added": {
      const { provider } = change;
      let { instances } = state;
      for (const name of instanceNames(provider)) instances = withEntry(instances, name, provider.id);
      const entry: ProviderEntry = { provider, registrations: new Map(), sinceRevision: revision };
      return { ...state, revision, instances, providers: withEntry(state.providers, provider.id, entry) };
    }
    case "provider-changed": {
      const { provider } = change;
      const entry = { ...entryOf(state, provider.id), provider };
      return { ...state, revision, providers: withEntry(state.providers, provider.id, entry) };
    }
    case "provider-removed": {
      const { provider } = change;
      let { instances } = state;
      for (const name of instanceNames(provider)) instances = withoutEntry(instances, name);
      return { ...state, revision, instances, providers: withoutEntry(state.providers, provider.id) };
    }
    case "registered":
    case "updated": {
      const { registration } = change;
      const entry = entryOf(state, registration.providerId);
      const registrations = new Map(entry.registrations).set(registration.type, registration);
      const ofType = lookUp(state.types, registration.type) ?? [];
      const index = change.type === "updated" ? ofType.indexOf(change.before) : -1;
      return {
        ...state,
        revision,
        registrations: withEntry(state.registrations, registration.id, registration),
        types: withEntry(
          state.types,
          registration.type,
          index < 0 ? [...ofType, registration] : ofType.with(index, registration),
        ),
        providers: withEntry(state.providers, registration.providerId, { ...entry, registrations }),
      };
    }
    case "unregistered": {
      const { registration } = change;
      const entry = entryOf(state, registration.providerId);
      const registrations = new Map(entry.registrations);
      registrations.delete(registration.type);
      const ofType = (lookUp(state.types, registration.type) ?? []).filter((other) => other !== registration);
      return {
        ...state,
        revision,
        registrations: withoutEntry(state.registrations, registration.id),
        types:
          ofType.length === 0
            ? withoutEntry(state.types, registration.type)
            : withEntry(state.types, registration.type, ofType),
        providers: withEntry(state.providers, registration.providerId, { ...entry, registrations }),
      };
    }
  }
}

function entryOf(state: RegistryState, providerId: string): ProviderEntry {
  const entry = lookUp(state.providers, providerId);
  if (entry === undefined) throw new Error(`no provider ${providerId}: this change is not possible in this state`);
  return entry;
}
