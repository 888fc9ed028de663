import type { RuntimeIdentity } from "@cpg/core";

/** A capability as policy sees it. */
export interface CapabilityName {
  readonly type: string;
  readonly version: string;
}

/** Who may have a capability. */
export interface CapabilityPolicy {
  /**
   * Whether a plugin gets a grant; nothing but `true` is a yes. An error is a no; that of a ConnectError with
   * `permission_denied` the plugin gets to see.
   * @param reason what the plugin says it wants it for: its own words, at most 256 bytes.
   * @param signal aborts when the answer comes too late, or nobody waits for it any more.
   */
  allow(
    identity: RuntimeIdentity,
    capability: CapabilityName,
    reason: string,
    signal: AbortSignal,
  ): boolean | Promise<boolean>;
  /**
   * Whether `holder` may pass on, to the plugin `identity`, a grant of its own. Default: it may, as it could pass on
   * what it gets from the capability.
   */
  allowDerived?(
    identity: RuntimeIdentity,
    capability: CapabilityName,
    reason: string,
    signal: AbortSignal,
    holder: RuntimeIdentity,
  ): boolean | Promise<boolean>;
}
