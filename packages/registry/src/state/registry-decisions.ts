import type { ProviderHealth } from "../health/provider-health.ts";
import { lookUp } from "./persistent-map.ts";
import type { Provider, Registration } from "./registration.ts";
import { instanceNames, newProvider, type ProviderEntry, type RegistryState } from "./registry-state.ts";
import type { ProviderFacts, RegistryChange, RemovalCause, ServiceFacts } from "./registry-store.ts";
import { sameHealth, sameService } from "./same-facts.ts";

/** What is asked of the registry. */
export type RegistryCommand =
  | {
      readonly type: "register";
      readonly provider: ProviderFacts;
      readonly service: ServiceFacts;
      /** Of the registration, if a new one comes of it. */
      readonly newId: string;
    }
  | { readonly type: "unregister"; readonly registrationId: string; readonly cause: RemovalCause }
  | { readonly type: "remove-provider"; readonly providerId: string; readonly cause: RemovalCause }
  | { readonly type: "set-health"; readonly providerId: string; readonly health: ProviderHealth }
  | { readonly type: "set-draining"; readonly providerId: string }
  | { readonly type: "promote"; readonly providerId: string }
  | { readonly type: "succeed"; readonly oldProviderId: string; readonly newProviderId: string };

export interface RegistryLimits {
  /** Registrations of one provider. */
  readonly registrationsPerProvider: number;
  /** Registrations in all. */
  readonly registrations: number;
}

/** The changes that a command makes, none of them if it has no effect; or the limit that it would exceed. */
export type Decision =
  | { readonly kind: "changes"; readonly changes: readonly RegistryChange[] }
  | { readonly kind: "refused"; readonly limit: keyof RegistryLimits };

/**
 * What follows from a command. Pure.
 *
 * | command         | when                                          | changes                                    |
 * |-----------------|-----------------------------------------------|--------------------------------------------|
 * | register        | a limit would be exceeded                     | refused, whatever else holds               |
 * | register        | the instance is there under another id        | that provider removed ("superseded"), then:|
 * | register        | the provider is not there                     | provider-added, registered                 |
 * | register        | it is, without this type                      | registered                                 |
 * | register        | it is, with this type and other facts         | updated                                    |
 * | register        | it is, with this type and the same facts      | none                                       |
 * | unregister      | the registration is not there                 | none                                       |
 * | unregister      | it is one of several of its provider          | unregistered                               |
 * | unregister      | it is the only one of its provider            | unregistered, provider-removed             |
 * | remove-provider | the provider is not there                     | none                                       |
 * | remove-provider | it is                                         | unregistered for each, provider-removed    |
 * | set-health      | the provider is not there, or has this health | none                                       |
 * | set-health      | it has another health                         | provider-changed                           |
 * | set-draining    | the provider is not there, or drains          | none                                       |
 * | set-draining    | it does not drain yet                         | provider-changed                           |
 * | promote         | the provider is not there, or not on standby  | none                                       |
 * | promote         | it is on standby                              | provider-changed                           |
 * | succeed         | one of the two is not there                   | none                                       |
 * | succeed         | both are                                      | as promote, then as set-draining           |
 */
export function decide(state: RegistryState, command: RegistryCommand, limits: RegistryLimits): Decision {
  switch (command.type) {
    case "register":
      return decideRegister(state, command, limits);
    case "unregister": {
      const registration = lookUp(state.registrations, command.registrationId);
      const entry = registration && lookUp(state.providers, registration.providerId);
      if (registration === undefined || entry === undefined) return changes();
      if (entry.registrations.size === 1) return changes(...removal(entry, command.cause));
      return changes({ type: "unregistered", registration, cause: command.cause });
    }
    case "remove-provider": {
      const entry = lookUp(state.providers, command.providerId);
      return entry === undefined ? changes() : changes(...removal(entry, command.cause));
    }
    case "set-health": {
      const before = lookUp(state.providers, command.providerId)?.provider;
      if (before === undefined || sameHealth(before.health, command.health)) return changes();
      return changes(changed(before, { health: command.health }));
    }
    case "set-draining": {
      const before = lookUp(state.providers, command.providerId)?.provider;
      return before === undefined || before.draining ? changes() : changes(changed(before, { draining: true }));
    }
    case "promote": {
      const before = lookUp(state.providers, command.providerId)?.provider;
      return before?.standby === true ? changes(changed(before, { standby: false })) : changes();
    }
    case "succeed": {
      const old = lookUp(state.providers, command.oldProviderId)?.provider;
      const next = lookUp(state.providers, command.newProviderId)?.provider;
      if (old === undefined || next === undefined || old === next) return changes();
      return changes(
        ...(next.standby ? [changed(next, { standby: false })] : []),
        ...(old.draining ? [] : [changed(old, { draining: true })]),
      );
    }
  }
}

function decideRegister(
  state: RegistryState,
  { provider: facts, service, newId }: Extract<RegistryCommand, { type: "register" }>,
  limits: RegistryLimits,
): Decision {
  const superseded = formerSelves(state, facts);
  const removed = superseded.reduce((sum, { registrations }) => sum + registrations.size, 0);
  const made: RegistryChange[] = superseded.flatMap((entry) => removal(entry, "superseded"));

  const known = lookUp(state.providers, facts.id);
  const before = known?.registrations.get(service.type);
  if (before !== undefined) {
    if (sameService(before, service)) return changes(...made);
    return changes(...made, { type: "updated", registration: { ...before, ...service }, before });
  }
  if (state.registrations.size - removed >= limits.registrations) return { kind: "refused", limit: "registrations" };
  if (known !== undefined && known.registrations.size >= limits.registrationsPerProvider) {
    return { kind: "refused", limit: "registrationsPerProvider" };
  }
  const provider = known?.provider ?? newProvider(facts);
  if (known === undefined) made.push({ type: "provider-added", provider });
  const registration: Registration = { ...service, id: newId, providerId: facts.id };
  return changes(...made, { type: "registered", registration, provider });
}

/** The providers that are the same instance under another id: as a rule none or one, two if it moved to another's place. */
function formerSelves(state: RegistryState, facts: ProviderFacts): readonly ProviderEntry[] {
  const ids = new Set(instanceNames(facts).map((name) => lookUp(state.instances, name)));
  ids.delete(facts.id);
  return [...ids].flatMap((id) => (id === undefined ? [] : (lookUp(state.providers, id) ?? [])));
}

function removal({ provider, registrations }: ProviderEntry, cause: RemovalCause): RegistryChange[] {
  return [
    ...[...registrations.values()].map((registration) => ({ type: "unregistered", registration, cause }) as const),
    { type: "provider-removed", provider, cause },
  ];
}

function changed(before: Provider, facts: Partial<Pick<Provider, "health" | "draining" | "standby">>): RegistryChange {
  return { type: "provider-changed", provider: { ...before, ...facts }, before };
}

function changes(...made: readonly RegistryChange[]): Decision {
  return { kind: "changes", changes: made };
}
