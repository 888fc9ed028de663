import { Code, ConnectError } from "@connectrpc/connect";
import type { ProviderSnapshot, Registry } from "../create-registry.ts";

/** What a registry does with the calls of its providers while they come and go. */
export interface RegistryTraffic {
  /** A provider on standby gets calls from now on. False: there is none, or it is on none. */
  promote(providerId: string): boolean;
  /** Calls go from one provider to the other at once, also those that name the first. */
  succeed(oldProviderId: string, newProviderId: string): void;
  /** Resolves when a provider has no routed call in flight. */
  idle(providerId: string, options: { readonly signal: AbortSignal }): Promise<void>;
  /** Ends the routed calls that a provider has in flight; how many they were. */
  cutCalls(providerId: string, reason: string): number;
}

/** @throws {ConnectError} `unimplemented`, at a call, when the registry has no such thing. */
export function trafficOf(registry: Registry): RegistryTraffic {
  const known = registry as Registry & Partial<RegistryTraffic>;
  const lacks = (): never => {
    throw new ConnectError("this registry cannot switch calls", Code.Unimplemented);
  };
  return {
    promote: (id) => known.promote?.(id) ?? lacks(),
    succeed: (from, to) => (known.succeed === undefined ? lacks() : known.succeed(from, to)),
    idle: (id, options) => known.idle?.(id, options) ?? lacks(),
    cutCalls: (id, reason) => known.cutCalls?.(id, reason) ?? lacks(),
  };
}

export function isOnStandby(provider: ProviderSnapshot): boolean {
  return "standby" in provider && provider.standby === true;
}
