import { randomBytes } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { callListener } from "@cpg/core/extension";
import { retryLater } from "@cpg/resilience";
import { lookUp, valuesOf } from "./persistent-map.ts";
import { decide, type RegistryCommand, type RegistryLimits } from "./registry-decisions.ts";
import { afterChanges, emptyState, type RegistryState } from "./registry-state.ts";
import type { RegistryStore, RevisedChange } from "./registry-store.ts";

export interface RegistryStoreOptions {
  readonly limits?: StoreLimits | undefined;
  /** Hears what `onChange` listeners throw. Default: nobody. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Name of this life of the registry. Default: a random one. */
  readonly epoch?: string | undefined;
}

export interface StoreLimits {
  /** Registrations of one provider. Whole number from 1. Default 100. */
  readonly registrationsPerProvider?: number | undefined;
  /** Registrations in all. Whole number from 1. Default 10 000. */
  readonly registrations?: number | undefined;
}

/** When a full registry may have room again, nobody knows. */
const retryAfterMs = 5_000;

/**
 * A registry in memory. Each call takes effect as a whole; listeners hear of its changes afterwards, one by one. What a
 * listener changes takes effect at once, too, and is told when all have heard what came before it.
 * @throws {RangeError} naming the limit.
 */
export function createRegistryStore(options: RegistryStoreOptions = {}): RegistryStore {
  const { onError = () => {}, epoch = randomBytes(12).toString("base64url") } = options;
  const limits = resolveLimits(options.limits);
  const listeners = new Set<(change: RevisedChange) => void>();
  const untold: RevisedChange[] = [];
  /** Providers that are on standby, or will be once they come. */
  const held = new Set<string>();
  let telling = false;
  let state: RegistryState = emptyState;

  const report = (error: unknown): void =>
    callListener(
      () => onError(error),
      () => {},
    );
  const tell = (): void => {
    if (telling) return;
    telling = true;
    for (let change = untold.shift(); change !== undefined; change = untold.shift()) {
      const next = change;
      for (const listener of [...listeners]) callListener(() => listener(next), report);
    }
    telling = false;
  };

  const apply = (command: RegistryCommand): ReturnType<typeof afterChanges> => {
    const decision = decide(state, command, limits);
    if (decision.kind === "refused") throw tooManyRegistrations(decision.limit, limits[decision.limit]);
    const after = afterChanges(state, decision.changes);
    state = after.state;
    untold.push(...after.changes);
    tell();
    return after;
  };
  const changes = (command: RegistryCommand): boolean => apply(command).changes.length > 0;

  return {
    get revision() {
      return state.revision;
    },
    epoch,
    provider: (id) => lookUp(state.providers, id)?.provider,
    registration: (id) => lookUp(state.registrations, id),
    ofType: (type) => lookUp(state.types, type) ?? none,
    ofProvider: (providerId) => [...(lookUp(state.providers, providerId)?.registrations.values() ?? none)],
    find: (type, providerId) => lookUp(state.providers, providerId)?.registrations.get(type),
    types: () => [...valuesOf(state.types)].flatMap(([first]) => first?.type ?? []).sort(),
    providers: () =>
      [...valuesOf(state.providers)].sort((a, b) => a.sinceRevision - b.sinceRevision).map(({ provider }) => provider),

    register(provider, service) {
      const newId = `${service.type}-${randomBytes(16).toString("base64url")}`;
      // Of the state that this call made: listeners may have changed it since.
      const facts = held.has(provider.id) ? { ...provider, standby: true } : provider;
      const { state: made } = apply({ type: "register", provider: facts, service, newId });
      const registration = lookUp(made.providers, provider.id)?.registrations.get(service.type);
      if (registration === undefined) throw new Error("registering made no registration");
      return registration;
    },
    unregister: (registrationId, cause) => changes({ type: "unregister", registrationId, cause }),
    removeProvider: (providerId, cause) => changes({ type: "remove-provider", providerId, cause }),
    setHealth: (providerId, health) => changes({ type: "set-health", providerId, health }),
    setDraining: (providerId) => changes({ type: "set-draining", providerId }),
    hold(providerId) {
      held.add(providerId);
      return () => void held.delete(providerId);
    },
    promote(providerId) {
      const wasHeld = held.delete(providerId);
      return changes({ type: "promote", providerId }) || wasHeld;
    },
    succeed(oldProviderId, newProviderId) {
      if ([oldProviderId, newProviderId].some((id) => lookUp(state.providers, id) === undefined)) return false;
      held.delete(newProviderId);
      apply({ type: "succeed", oldProviderId, newProviderId });
      return true;
    },

    onChange(listener) {
      // A wrapper, so that one function added twice is two listeners.
      const own = (change: RevisedChange): void => listener(change);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
  };
}

const none: readonly never[] = Object.freeze([]);

function resolveLimits({ registrationsPerProvider = 100, registrations = 10_000 }: StoreLimits = {}): RegistryLimits {
  for (const [name, value] of Object.entries({ registrationsPerProvider, registrations })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new RangeError(`limits.${name} must be a whole number from 1, got ${value}`);
    }
  }
  return { registrationsPerProvider, registrations };
}

function tooManyRegistrations(limit: keyof RegistryLimits, max: number) {
  const whose = limit === "registrations" ? "this registry" : "one plugin";
  return retryLater(`${whose} can have ${max} registrations, and has`, Code.ResourceExhausted, retryAfterMs);
}
