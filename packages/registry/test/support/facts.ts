import { assumedHealthy, type HealthLevel, type ProviderHealth } from "../../src/health/provider-health.ts";
import type { Registration } from "../../src/state/registration.ts";
import type { ProviderFacts, RegistryStore, ServiceFacts } from "../../src/state/registry-store.ts";

/** Facts of a provider that is nobody else but itself. */
export function providerOf(id: string, facts: Partial<ProviderFacts> = {}): ProviderFacts {
  return { id, selfId: "p", instance: `id:${id}`, ...facts };
}

export function serviceOf(type: string, facts: Partial<ServiceFacts> = {}): ServiceFacts {
  return {
    type,
    version: "1.0.0",
    endpointPath: "/",
    metadata: {},
    weight: 100,
    leaseMs: undefined,
    upstream: { kind: "unix", path: "/tmp/p.sock", authority: "localhost", basePath: "", http: "auto" },
    ...facts,
  };
}

export function register(
  store: RegistryStore,
  id: string,
  type: string,
  facts: Partial<ServiceFacts> = {},
): Registration {
  return store.register(providerOf(id), serviceOf(type, facts));
}

export function healthOf(level: HealthLevel, reason = ""): ProviderHealth {
  return { ...assumedHealthy, level, source: "report", reason };
}
