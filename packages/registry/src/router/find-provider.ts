import type { ConnectError } from "@connectrpc/connect";
import type { RuntimeIdentity } from "@cpg/core";
import type { AccessPolicy } from "../policy/access-policy.ts";
import type { Selector } from "../selection/selection.ts";
import type { Registration } from "../state/registration.ts";
import type { RegistryStore } from "../state/registry-store.ts";
import { routeError } from "./route-error.ts";
import { checkRoutedPath, comparablePath } from "./routed-path.ts";
import type { ServicePath } from "./service-path.ts";
import type { Upstream } from "./upstream.ts";

/** A provider that a call may go to, and where the call goes there. */
export interface RouteTo {
  readonly registration: Registration;
  readonly upstream: Upstream;
  /** Path of the call without base path and query, spelled as policies see it. */
  readonly method: string;
  /** Path and query at the provider. */
  readonly upstreamPath: string;
}

export interface ProviderSources {
  readonly store: Pick<RegistryStore, "find" | "provider">;
  readonly selector: Selector;
  readonly access: AccessPolicy;
  /** The least version of a type that a caller declared to need; "": any. Default: any. */
  readonly minVersionOf?: ((identity: RuntimeIdentity, type: string) => string) | undefined;
  /** Who takes the calls that name a provider, if that has a successor. Default: nobody has. */
  readonly heirOf?: ((providerId: string) => string | undefined) | undefined;
}

/**
 * Finds the provider of a call: the one that it names, or the one that the selection picks.
 * @param except providers that were tried already.
 * @throws {ConnectError} `permission_denied` when policy says no, and then whatever else is wrong, so that nobody learns
 * what is not for him; `not_found`; `unavailable` when the provider, or all of them, are unhealthy or draining, or did not
 * say where they listen.
 */
export function findProvider(
  sources: ProviderSources,
  identity: RuntimeIdentity,
  path: ServicePath,
  except?: ReadonlySet<string>,
): RouteTo {
  const { store, selector, access, minVersionOf, heirOf } = sources;
  const { type, providerId } = path;
  const minVersion = minVersionOf?.(identity, type) ?? "";
  const mayCallType = (): void => access.check({ action: "call", identity, type });

  const pick = (): Registration => {
    try {
      return selector.select({ type, minVersion, callerId: identity.runtimeId, except }).registration;
    } catch (reason) {
      if (except === undefined) mayCallType(); // otherwise that is known
      throw reason;
    }
  };
  const named = (id: string): Registration => {
    const heir = heirOf?.(id);
    const found = (heir === undefined ? undefined : store.find(type, heir)) ?? store.find(type, id);
    if (found !== undefined) return found;
    mayCallType();
    throw routeError("unknown", path);
  };

  const registration = providerId === undefined ? pick() : named(providerId);
  const method = comparablePath(registration.endpointPath + path.rest);
  const prefix = checkedPrefix(registration);
  access.check({ action: "call", identity, type, providerId: registration.providerId, method });
  const refusal = providerId === undefined ? undefined : refusalOf(store, registration);
  if (refusal !== undefined) throw refusal;
  const { upstream } = registration;
  if (upstream === undefined) throw routeError("nowhere", registration);
  return { registration, upstream, method, upstreamPath: prefix + path.rest + path.query };
}

/** Why a provider that a caller names gets no calls. The selection looks at that itself. */
function refusalOf(store: ProviderSources["store"], { type, providerId }: Registration): ConnectError | undefined {
  const provider = store.provider(providerId);
  if (provider === undefined) return routeError("unknown", { type, providerId });
  if (provider.standby) return routeError("standby", { type, providerId });
  if (provider.draining) return routeError("draining", { type, providerId });
  if (provider.health.level === "unhealthy") return routeError("unhealthy", { type, providerId });
  return undefined;
}

/** Registrations whose own part of the path has been looked at. */
const checkedPrefixes = new WeakSet<Registration>();

/** What precedes the rest of a path at the provider. */
function checkedPrefix(registration: Registration): string {
  const { upstream, endpointPath } = registration;
  const basePath = upstream === undefined || upstream.kind === "direct" ? "" : upstream.basePath;
  const prefix = basePath + endpointPath;
  if (!checkedPrefixes.has(registration)) {
    // Registration has rules of its own; here it counts that no spelling of them reaches what is not to be reached.
    checkRoutedPath("path of the registration", prefix.slice(1));
    checkedPrefixes.add(registration);
  }
  return prefix;
}
