/** What counts for one address that a plugin may be reached at. */
export interface UpstreamFacts {
  /** The host's own listener, under any of its addresses. */
  readonly own: boolean;
  /** Encryption is asked for, and this is cleartext. */
  readonly lacksTls: boolean;
  /** What the host's rules say; undefined when none fits. */
  readonly ruled: "allow" | "deny" | undefined;
  /** The address that the plugin registers from. */
  readonly peersOwn: boolean;
  /** The plugin registers from this machine, and this is an address of it. */
  readonly sameMachine: boolean;
}

/** What a decision rests on. */
export type UpstreamReason = "own-listener" | "cleartext" | "rule" | "peers-own" | "same-machine" | "elsewhere";

export interface UpstreamVerdict {
  readonly allowed: boolean;
  readonly reason: UpstreamReason;
}

/**
 * Decides about one address. Pure. The first row that fits:
 *
 * | own | lacksTls | ruled | peersOwn | sameMachine | verdict               |
 * |-----|----------|-------|----------|-------------|-----------------------|
 * | yes |          |       |          |             | refused: own-listener |
 * |     | yes      |       |          |             | refused: cleartext    |
 * |     |          | deny  |          |             | refused: rule         |
 * |     |          | allow |          |             | allowed: rule         |
 * |     |          |       | yes      |             | allowed: peers-own    |
 * |     |          |       |          | yes         | allowed: same-machine |
 * |     |          |       |          |             | refused: elsewhere    |
 */
export function decideUpstream({ own, lacksTls, ruled, peersOwn, sameMachine }: UpstreamFacts): UpstreamVerdict {
  if (own) return { allowed: false, reason: "own-listener" };
  if (lacksTls) return { allowed: false, reason: "cleartext" };
  if (ruled !== undefined) return { allowed: ruled === "allow", reason: "rule" };
  if (peersOwn) return { allowed: true, reason: "peers-own" };
  return sameMachine ? { allowed: true, reason: "same-machine" } : { allowed: false, reason: "elsewhere" };
}
