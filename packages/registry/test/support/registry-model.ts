import type { HealthLevel } from "../../src/health/provider-health.ts";
import type { ServiceView } from "../../src/watch/service-view.ts";

/** One thing that happens to a registry. */
export type Operation =
  | {
      readonly kind: "register";
      readonly id: string;
      readonly type: string;
      readonly version: string;
      readonly instance: string;
    }
  | { readonly kind: "unregister"; readonly id: string; readonly type: string }
  | { readonly kind: "remove"; readonly id: string }
  | { readonly kind: "health"; readonly id: string; readonly level: HealthLevel }
  | { readonly kind: "drain"; readonly id: string };

interface ModelProvider {
  readonly instance: string;
  level: HealthLevel;
  draining: boolean;
}

/** What a registry should do, as lists that are searched. */
export interface RegistryModel {
  apply(operation: Operation): void;
  /** What watchers of a type should see. */
  shown(type: string): string;
}

export function createRegistryModel(maxRegistrations: number): RegistryModel {
  const providers = new Map<string, ModelProvider>();
  let registrations: { readonly id: string; readonly type: string; version: string }[] = [];

  const remove = (id: string): void => {
    providers.delete(id);
    registrations = registrations.filter((registration) => registration.id !== id);
  };
  const register = ({ id, type, version, instance }: Extract<Operation, { kind: "register" }>): void => {
    const former = [...providers].filter(([other, known]) => other !== id && known.instance === instance);
    const known = registrations.find((registration) => registration.id === id && registration.type === type);
    const gone = registrations.filter((registration) => former.some(([other]) => other === registration.id));
    if (known === undefined && registrations.length - gone.length >= maxRegistrations) return;
    for (const [other] of former) remove(other);
    if (!providers.has(id)) providers.set(id, { instance, level: "healthy", draining: false });
    if (known === undefined) registrations.push({ id, type, version });
    else known.version = version;
  };

  return {
    apply(operation) {
      const { id } = operation;
      const provider = providers.get(id);
      switch (operation.kind) {
        case "register":
          register(operation);
          break;
        case "unregister":
          registrations = registrations.filter((other) => other.id !== id || other.type !== operation.type);
          if (!registrations.some((other) => other.id === id)) providers.delete(id);
          break;
        case "remove":
          remove(id);
          break;
        case "health":
          if (provider !== undefined) provider.level = operation.level;
          break;
        case "drain":
          if (provider !== undefined) provider.draining = true;
          break;
      }
    },
    shown(type) {
      const seen = registrations
        .filter((registration) => registration.type === type)
        .map(({ id, version }) => {
          const { level = "healthy", draining = false } = providers.get(id) ?? {};
          return { text: `${id}@${version} ${level}${draining ? " draining" : ""}`, rank: draining ? 2 : ranks[level] };
        })
        .sort((a, b) => a.rank - b.rank);
      return [states[seen[0]?.rank ?? 2], ...seen.map(({ text }) => text)].join(", ");
    },
  };
}

const ranks: Readonly<Record<HealthLevel, number>> = { healthy: 0, degraded: 1, unhealthy: 2 };
const states = ["available", "degraded", "unavailable"];

/** A view as the model tells it. */
export function shownView({ state, providers }: ServiceView): string {
  const seen = providers.map(
    ({ providerId, version, health, draining }) => `${providerId}@${version} ${health}${draining ? " draining" : ""}`,
  );
  return [state, ...seen].join(", ");
}

/** The part of it that those see who see only the state and the preferred provider. */
export function basicsOf(shown: string): string {
  const [state, first = ""] = shown.split(", ");
  return state === "unavailable" ? state : `${state}, ${first.split(" ")[0]}`;
}
