import type { IdentityRegistry, RuntimeIdentity } from "@cpg/core";
import { isLoopbackAddress } from "@cpg/core/extension";

/** Waits for a program that shakes hands by itself. */
export interface HandshakeWatch {
  /** Resolves with the first identity that is its. May never settle. */
  readonly seen: Promise<RuntimeIdentity>;
  /** That identity, once there is one. */
  readonly identity: RuntimeIdentity | undefined;
  stop(): void;
}

export interface HandshakeWatchOptions {
  readonly identities: Pick<IdentityRegistry, "onIssue">;
  readonly selfId: string;
  /** Called at once, before the program knows of it. False: the identity is another's. */
  claim(identity: RuntimeIdentity): boolean;
}

/**
 * From now on, the first identity is the program's that is given to `selfId` on a connection from this machine. Who may
 * shake hands from here under that name is up to the host's admission policy.
 */
export function watchHandshake({ identities, selfId, claim }: HandshakeWatchOptions): HandshakeWatch {
  const { promise: seen, resolve } = Promise.withResolvers<RuntimeIdentity>();
  let identity: RuntimeIdentity | undefined;
  const stop = identities.onIssue((issued) => {
    if (identity !== undefined || issued.selfId !== selfId || !isFromHere(issued) || !claim(issued)) return;
    identity = issued;
    stop();
    resolve(issued);
  });
  return {
    seen,
    get identity() {
      return identity;
    },
    stop,
  };
}

function isFromHere({ peer }: RuntimeIdentity): boolean {
  if (peer === undefined || peer.network !== "tcp") return peer !== undefined;
  return peer.address !== undefined && isLoopbackAddress(peer.address);
}
