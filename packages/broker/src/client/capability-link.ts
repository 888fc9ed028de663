import type { HostLink } from "@cpg/core";

/** What a capability client needs of a plugin's link to its host: `server.link`. */
export type CapabilityLink = Pick<
  HostLink,
  "transport" | "transportTo" | "transportWith" | "identity" | "onIdentityChange" | "whenLinked"
>;
