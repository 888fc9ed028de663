import { isIPv6 } from "node:net";
import type { Peer } from "./peer.ts";

/**
 * The name under which a peer is counted: its address; of an IPv6 address the /64 block, since whoever has one address
 * usually has all of its block. Peers without an address count together by their kind of network, those of whom nothing
 * is known as "unknown".
 */
export function peerName(peer: Peer | undefined): string {
  if (peer === undefined) return "unknown";
  const { network, address } = peer;
  if (network !== "tcp" || address === undefined) return network;
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  return isIPv6(plain) ? blockOf(plain) : plain;
}

/** The first four groups, in one notation. */
function blockOf(address: string): string {
  const [head = "", tail] = address.split("::");
  const before = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const after = tail === "" ? [] : tail.split(":");
    // A dotted quad at the end stands for two groups.
    const width = before.length + after.length + (tail.includes(".") ? 1 : 0);
    for (let missing = 8 - width; missing > 0; missing--) before.push("0");
    before.push(...after);
  }
  const block = before.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${block.join(":")}::/64`;
}
