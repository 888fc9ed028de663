import type { RuntimeIdentity } from "@cpg/core";
import type { Upstream } from "../router/upstream.ts";

/** Where the host may connect to reach a provider. */
export interface UpstreamPolicy {
  /**
   * Checks the base_url of a registration, resolves its name once, and settles where calls and probes go. A known endpoint
   * of a plugin that this host launched or attached takes the place of base_url. Undefined: there is neither.
   * @throws {ConnectError} `invalid_argument` for a malformed base_url, `permission_denied` for one that policy does not
   * allow, `unavailable` when its name cannot be resolved.
   */
  resolve(
    identity: RuntimeIdentity,
    metadata: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Upstream | undefined>;
}
