import type { ProviderHealth } from "../health/provider-health.ts";
import type { Upstream } from "../router/upstream.ts";
import type { ServiceFacts } from "./registry-store.ts";

export function sameHealth(a: ProviderHealth, b: ProviderHealth): boolean {
  return (
    a === b ||
    (a.level === b.level &&
      a.source === b.source &&
      a.reason === b.reason &&
      a.unavailableDependencies.length === b.unavailableDependencies.length &&
      a.unavailableDependencies.every((type, index) => type === b.unavailableDependencies[index]))
  );
}

export function sameMetadata(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  if (a === b) return true;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}

export function sameService(a: ServiceFacts, b: ServiceFacts): boolean {
  return (
    a.type === b.type &&
    a.version === b.version &&
    a.endpointPath === b.endpointPath &&
    a.weight === b.weight &&
    a.leaseMs === b.leaseMs &&
    sameMetadata(a.metadata, b.metadata) &&
    sameUpstream(a.upstream, b.upstream)
  );
}

function sameUpstream(a: Upstream | undefined, b: Upstream | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  switch (a.kind) {
    case "http":
      return (
        b.kind === "http" &&
        a.secure === b.secure &&
        a.address === b.address &&
        a.port === b.port &&
        a.authority === b.authority &&
        a.servername === b.servername &&
        a.basePath === b.basePath &&
        a.http === b.http
      );
    case "unix":
      return b.kind === "unix" && a.path === b.path && a.authority === b.authority && a.http === b.http;
    case "direct":
      return b.kind === "direct" && a.endpoint === b.endpoint && a.plugins === b.plugins;
  }
}
