import type { Peer } from "./peer.ts";
import { peerName } from "./peer-name.ts";
import type { VerifiedIdentity } from "./verified-identity.ts";

/** What is known of a call, or of a request that is none, when it is decided what it counts towards. */
export interface LimitedCall {
  /** From the context values of an RPC. */
  readonly identity: VerifiedIdentity | undefined;
  /** From the context values of an RPC, or the socket of another request. */
  readonly peer: Peer | undefined;
  /**
   * Of an RPC its full name, "package.Service/Method". Of another request the method of HTTP, "GET"; not the path, which
   * its sender is free to vary.
   */
  readonly method: string;
  /** A header of the request; null if it is not there. */
  header(name: string): string | null;
}

/** Which calls share a limit: those with the same key. Must not throw. */
export type CallerKey = (call: LimitedCall) => string;

/**
 * Each verified identity for itself, and whoever has none by address, as `byPeer` has it. An identity comes from the
 * context values of a call on a server, so the interceptors that verify it must be outside of the limit.
 */
export const byIdentity: CallerKey = (call) => {
  const { identity } = call;
  return identity === undefined ? byPeer(call) : `identity ${identity.source} ${identity.id}`;
};

/**
 * Each address for itself, of IPv6 each block of 64 bits; behind a proxy that is the proxy. All peers without an address
 * together, also all calls of a client, and those on a server that sets no `peerKey`.
 */
export const byPeer: CallerKey = ({ peer }) => `peer ${peerName(peer)}`;

/** Each method of a service for itself; outside of RPC each method of HTTP. */
export const byMethod: CallerKey = ({ method }) => `method ${method}`;

/**
 * Each value of a header for itself, and all calls without it together.
 *
 * Only for a header that nobody but a proxy of yours can set, because the proxy removes what callers send. A header that
 * the caller chooses evades the limit, by another value for each call, or exhausts the limit of somebody else.
 * @throws {TypeError} for a name that is not a token of RFC 9110.
 */
export function byTrustedHeader(name: string): CallerKey {
  if (typeof name !== "string" || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
    throw new TypeError(`name must be the name of a header, got ${String(name)}`);
  }
  const lowerCase = name.toLowerCase();
  return (call) => {
    const value = call.header(lowerCase);
    return value === null ? `no ${lowerCase}` : `${lowerCase} ${value}`;
  };
}

/**
 * Calls that have all of the keys in common, such as those of one identity to one method.
 * @throws {TypeError} for something that is not a function.
 */
export function byEach(...keys: readonly CallerKey[]): CallerKey {
  for (const key of keys) {
    if (typeof key !== "function") throw new TypeError(`keys must be functions, got ${String(key)}`);
  }
  // With their lengths, so that no two lists of parts make the same key.
  return (call) => {
    let joined = "";
    for (const key of keys) {
      const part = key(call);
      joined += `${part.length}:${part} `;
    }
    return joined;
  };
}
