import { Code, ConnectError } from "@connectrpc/connect";
import type { IdentityRegistry } from "@cpg/core";
import type { Upstream } from "../router/upstream.ts";

/** A plugin that the host launched, or was told the endpoint of. */
export interface ManagedPlugin {
  readonly runtimeId: string;
  /** Where it really is, whatever it says. */
  readonly upstream: Upstream;
  /** What proves this host to it. Secret: `controlTokenOf` is the only way to it. */
  readonly controlToken: string | undefined;
}

/** What the host knows of the plugins that it looks after. */
export interface ManagedPlugins {
  upstreamOf(runtimeId: string): Upstream | undefined;
  controlTokenOf(runtimeId: string): string | undefined;
  /** Whether the host looks after the plugin; also if it only gave the identity out, without being asked for one. */
  isManaged(runtimeId: string): boolean;
  /**
   * Returns how to take it out again.
   * @throws {ConnectError} `failed_precondition` if it is in already.
   */
  add(plugin: ManagedPlugin): () => void;
}

/** @param identities default: only plugins that were added are managed. */
export function createManagedPlugins(identities?: Pick<IdentityRegistry, "get">): ManagedPlugins {
  const plugins = new Map<string, ManagedPlugin>();
  return {
    upstreamOf: (runtimeId) => plugins.get(runtimeId)?.upstream,
    controlTokenOf: (runtimeId) => plugins.get(runtimeId)?.controlToken,
    isManaged(runtimeId) {
      if (plugins.has(runtimeId)) return true;
      const identity = identities?.get(runtimeId);
      return identity !== undefined && identity.peer === undefined;
    },
    add(plugin) {
      const { runtimeId } = plugin;
      if (plugins.has(runtimeId)) {
        throw new ConnectError(`plugin ${runtimeId} is attached already`, Code.FailedPrecondition);
      }
      plugins.set(runtimeId, plugin);
      return () => {
        if (plugins.get(runtimeId) === plugin) plugins.delete(runtimeId);
      };
    },
  };
}
