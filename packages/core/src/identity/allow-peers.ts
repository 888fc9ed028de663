import { createAddressList } from "../internal/address-list.ts";
import type { AdmissionPolicy } from "./admission.ts";

/**
 * Admits peers by the address of their connection. Behind a proxy that address is the proxy's. Peers on a Unix socket or
 * in memory have none and are refused.
 * @param addresses IP addresses and CIDR blocks, such as "10.0.0.0/8" or "fd00::/8".
 * @throws {TypeError} naming the entry that is malformed, or when there is none.
 */
export function allowPeers(addresses: readonly string[]): AdmissionPolicy {
  if (addresses.length === 0) throw new TypeError("addresses must name at least one address or CIDR block");
  const isAllowed = createAddressList("addresses", addresses);
  return {
    name: "allowPeers",
    admit({ peer }) {
      if (peer?.network === "tcp" && isAllowed(peer.address ?? "")) return { admitted: true };
      return { admitted: false, rule: "the address of the peer is not on the list" };
    },
  };
}
