import { timingSafeEqual } from "node:crypto";
import type { Peer } from "@cpg/resilience";
import type { AuthOutcome } from "./auth-provider.ts";

interface Proof {
  /** The value of the header, as it came. */
  readonly expected: Buffer;
  /** Of the same length: what is compared with it. */
  readonly presented: Buffer;
  readonly outcome: AuthOutcome;
}

/**
 * Remembers the latest header that was proved on each connection: to compare with it costs less than to read and hash what
 * the next call brings. For credentials that stay valid as long as the server runs.
 */
export interface ProvedConnections {
  find(peer: Peer | undefined, value: string): AuthOutcome | undefined;
  remember(peer: Peer | undefined, value: string, outcome: AuthOutcome): void;
}

export function createProvedConnections(): ProvedConnections {
  const proofs = new WeakMap<Peer, Proof>();
  return {
    find(peer, value) {
      const proof = peer && proofs.get(peer);
      // Another length may be seen by its time; whoever is on this connection knows the length of the right one.
      if (proof === undefined || value.length !== proof.expected.length) return undefined;
      const { presented, expected, outcome } = proof;
      presented.write(value, "latin1");
      return timingSafeEqual(presented, expected) ? outcome : undefined;
    },
    remember(peer, value, outcome) {
      if (peer !== undefined && peer.network !== "memory") {
        const expected = Buffer.from(value, "latin1");
        proofs.set(peer, { expected, presented: Buffer.alloc(expected.length), outcome });
      }
    },
  };
}
