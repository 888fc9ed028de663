import { BlockList, isIP } from "node:net";
import type { Peer } from "@cpg/resilience";

/**
 * Tells whether a peer is one of the proxies: addresses such as "10.0.0.5", or networks such as "10.0.0.0/8" and "fd00::/8".
 * @throws {TypeError} naming the entry that is neither.
 */
export function createTrustedProxies(
  trustedProxies: readonly string[],
  trustUnixSockets: boolean,
): (peer: Peer | undefined) => boolean {
  const proxies = new BlockList();
  for (const entry of trustedProxies) {
    const [address = "", prefix, ...rest] = String(entry).split("/");
    const version = isIP(address);
    const bits = prefix === undefined || /^\d{1,3}$/.test(prefix) ? Number(prefix ?? 0) : Number.NaN;
    if (version === 0 || address.includes("%") || rest.length > 0 || !(bits <= (version === 4 ? 32 : 128))) {
      throw new TypeError(
        `trustedProxies must be addresses or networks such as "10.0.0.0/8", got ${JSON.stringify(entry)}`,
      );
    }
    if (prefix === undefined) proxies.addAddress(address, family(version));
    else proxies.addSubnet(address, bits, family(version));
  }
  return (peer) => {
    if (peer?.network === "unix") return trustUnixSockets;
    if (peer?.network !== "tcp" || peer.address === undefined) return false;
    const address = peer.address.replace(/%.*$/, "");
    const version = isIP(address);
    return version !== 0 && proxies.check(address, family(version));
  };
}

function family(version: number): "ipv4" | "ipv6" {
  return version === 4 ? "ipv4" : "ipv6";
}
