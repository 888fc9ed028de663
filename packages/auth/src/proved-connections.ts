import { timingSafeEqual } from "node:crypto";
import type { Peer } from "@cpg/resilience";
import type { AuthOutcome } from "./auth-provider.ts";

interface Proof {
  readonly credential: Buffer;
  readonly outcome: AuthOutcome;
}

/**
 * Remembers the latest credential that was proved on each connection: to compare with it costs less than to hash what the
 * next call brings. For credentials that stay valid as long as the server runs.
 */
export interface ProvedConnections {
  find(peer: Peer | undefined, credential: string): AuthOutcome | undefined;
  remember(peer: Peer | undefined, credential: string, outcome: AuthOutcome): void;
}

export function createProvedConnections(): ProvedConnections {
  const proofs = new WeakMap<Peer, Proof>();
  return {
    find(peer, credential) {
      const proof = peer && proofs.get(peer);
      // Another length may be seen by its time; whoever is on this connection knows the length of the right one.
      if (proof === undefined || credential.length !== proof.credential.length) return undefined;
      const presented = Buffer.from(credential, "latin1");
      return timingSafeEqual(presented, proof.credential) ? proof.outcome : undefined;
    },
    remember(peer, credential, outcome) {
      if (peer !== undefined && peer.network !== "memory") {
        proofs.set(peer, { credential: Buffer.from(credential, "latin1"), outcome });
      }
    },
  };
}
