import { type ContextKey, createContextKey } from "@connectrpc/connect";
import type { RuntimeIdentity } from "@cpg/core";

/** The grant under which a capability is called, as its implementation sees it. */
export interface CallGrant {
  /** Name of the grant for logs: no secret. */
  readonly accessor: string;
  /** The plugin that holds the grant. */
  readonly holder: RuntimeIdentity;
  /** Whether the caller proved to be that plugin; always true with `requireHolderProof`. */
  readonly isProven: boolean;
  /** Of the capability. */
  readonly type: string;
  readonly version: string;
  /** Full names of the methods that it allows, such as "capability.logger.v1.Logger/Log"; undefined: all. */
  readonly methods: readonly string[] | undefined;
}

/** The grant of the call; set for every RPC of a capability. */
export const capabilityGrantKey: ContextKey<CallGrant | undefined> = createContextKey<CallGrant | undefined>(
  undefined,
  { description: "grant of the capability call" },
);
