import { BlockList, isIP } from "node:net";
import type { AdmissionPolicy } from "./admission.ts";

/**
 * Admits peers by the address of their connection. Behind a proxy that address is the proxy's. Peers on a Unix socket or
 * in memory have none and are refused.
 * @param addresses IP addresses and CIDR blocks, such as "10.0.0.0/8" or "fd00::/8".
 * @throws {TypeError} naming the entry that is malformed, or when there is none.
 */
export function allowPeers(addresses: readonly string[]): AdmissionPolicy {
  if (addresses.length === 0) throw new TypeError("addresses must name at least one address or CIDR block");
  const allowed = new BlockList();
  for (const entry of addresses) addEntry(allowed, entry);
  return {
    name: "allowPeers",
    admit({ peer }) {
      const address = peer?.address?.replace(/%.*$/, "") ?? ""; // fe80::1%eth0
      const family = isIP(address);
      if (peer?.network === "tcp" && family !== 0 && allowed.check(address, familyName(family)))
        return { admitted: true };
      return { admitted: false, rule: "the address of the peer is not on the list" };
    },
  };
}

function addEntry(list: BlockList, entry: string): void {
  const [address = "", prefix, ...rest] = entry.split("/");
  const family = isIP(address);
  const bits = family === 4 ? 32 : 128;
  const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
  if (family === 0 || address.includes("%") || rest.length > 0 || !(length <= bits)) {
    throw new TypeError(`addresses must hold IP addresses and CIDR blocks, got ${JSON.stringify(entry)}`);
  }
  list.addSubnet(address, length, familyName(family));
}

function familyName(family: number): "ipv4" | "ipv6" {
  return family === 4 ? "ipv4" : "ipv6";
}
