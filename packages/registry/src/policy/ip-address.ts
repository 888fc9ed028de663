import { isIP, SocketAddress } from "node:net";

/**
 * An IP address in its one canonical spelling, without its zone; an IPv4 address that is mapped into IPv6 as what it is.
 * Undefined for what is no IP address.
 */
export function canonicalAddress(text: string): string | undefined {
  const address = text.replace(/%.*$/, "");
  const family = isIP(address);
  if (family !== 6) return family === 4 ? address : undefined;
  const canonical = new SocketAddress({ address, family: "ipv6" }).address;
  const mapped = canonical.replace(/^::ffff:/, "");
  return isIP(mapped) === 4 ? mapped : canonical;
}
