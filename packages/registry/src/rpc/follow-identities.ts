import type { IdentityRegistry } from "@cpg/core";
import type { RegistryStore, RemovalCause } from "../state/registry-store.ts";

type IdentityEnd = Parameters<Parameters<IdentityRegistry["onEnd"]>[0]>[1];

/** Undefined: the provider stays. One whose token expired does while it answers probes. */
const causes = {
  revoked: "revoked",
  superseded: "superseded",
  released: "released",
  evicted: "removed",
  expired: undefined,
  closed: undefined,
} as const satisfies Record<IdentityEnd, RemovalCause | undefined>;

/**
 * Removes a provider when its identity is taken or given back, and revokes the identity of a provider that a new self
 * has superseded. Returns how to stop.
 */
export function followIdentities(store: RegistryStore, identities: IdentityRegistry): () => void {
  const forgetEnds = identities.onEnd(({ runtimeId }, reason) => {
    const cause = causes[reason];
    if (cause !== undefined) store.removeProvider(runtimeId, cause);
  });
  const forgetChanges = store.onChange((change) => {
    if (change.type === "provider-removed" && change.cause === "superseded") {
      identities.revoke(change.provider.id, "superseded");
    }
  });
  return () => {
    forgetEnds();
    forgetChanges();
  };
}
