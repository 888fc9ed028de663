/** One plugin's limited access to one capability. Never modified: a renewal makes another one with the same id. */
export interface Grant {
  /** Stands in URLs: no secret, and worth nothing without the token. */
  readonly id: string;
  /** Names the grant in logs and to the host's own functions. In no URL, so whoever reads logs cannot even address it. */
  readonly accessor: string;
  /** Of the capability. */
  readonly type: string;
  readonly version: string;
  /** Runtime id of the plugin that holds it. */
  readonly holder: string;
  /** Full names of the methods that it allows, such as "capability.logger.v1.Logger/Log"; undefined: all. */
  readonly methods: readonly string[] | undefined;
  /** Why it was asked for, as the plugin put it. */
  readonly reason: string;
  /** Wall clock ms. */
  readonly issuedAtMs: number;
  /** From its issue, or its last renewal, in ms. */
  readonly ttlMs: number;
  /** From its issue to the end of all renewals, in ms. */
  readonly maxTtlMs: number;
  /** Monotonic ms. */
  readonly expiresAtMs: number;
  /** End of all renewals, monotonic ms. */
  readonly endsAtMs: number;
  /** Whether a renewal may prolong it; one that was derived also needs the time of what it was derived from. */
  readonly renewable: boolean;
  /** Accessor of the grant that it was derived from; undefined: the host gave it out. */
  readonly derivedFrom: string | undefined;
  /** Derivations between it and the one that the host gave out. */
  readonly depth: number;
}

/** How a grant ended: its time was up, the host took it, its holder gave it back, or the identity of its holder ended. */
export type GrantEnd = "expired" | "revoked" | "returned" | "holder-ended";
