import type { HostLink } from "@cpg/core";

/** What a registry client needs of a plugin's link to its host: `server.link`. */
export type RegistryLink = Pick<
  HostLink,
  "transport" | "transportTo" | "hostMetadata" | "identity" | "onIdentityChange" | "state"
>;

/** The link will not come back. */
export function isOver({ state }: Pick<RegistryLink, "state">): boolean {
  return state === "closing" || state === "closed";
}
