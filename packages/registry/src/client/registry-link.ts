import type { HostLink } from "@cpg/core";
import { SERVER_METADATA } from "@cpg/core/extension";

/** What a registry client needs of a plugin's link to its host: `server.link`. */
export type RegistryLink = Pick<
  HostLink,
  | "transport"
  | "transportTo"
  | "hostMetadata"
  | "registrationMetadata"
  | "identity"
  | "onIdentityChange"
  | "state"
  | "whenLinked"
>;

/** Whether calls reach the host now, as far as is known. */
export function isUp({ state }: Pick<RegistryLink, "state">): boolean {
  return state === "linked" || state === "refreshing";
}

/**
 * Whether the host ends what belongs to an identity with it, and the link notices when the host has forgotten its own. Of
 * other hosts neither can be expected.
 */
export function tracksIdentities({ hostMetadata }: Pick<RegistryLink, "hostMetadata">): boolean {
  return announces(hostMetadata, SERVER_METADATA.runtime);
}

/** Whether the host chooses the provider of each call to /services/{type}/-/. */
export function choosesProviders({ hostMetadata }: Pick<RegistryLink, "hostMetadata">): boolean {
  return announces(hostMetadata, SERVER_METADATA.router);
}

function announces(metadata: Readonly<Record<string, string>>, key: string): boolean {
  return Object.hasOwn(metadata, key) && metadata[key] === "1";
}
