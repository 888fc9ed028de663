import { BlockList, isIP } from "node:net";

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4"); // ::ffff:127.0.0.0/104 is in it, too
loopback.addAddress("::1", "ipv6");

/** Whether an IP address is of the loopback interface. */
export function isLoopbackAddress(address: string): boolean {
  return isOn(loopback, address);
}

/**
 * Whether IP addresses are on a list. IPv4 addresses that are mapped into IPv6 count as what they are, and zones
 * (fe80::1%eth0) do not count.
 * @param option names the list in errors.
 * @param entries IP addresses and CIDR blocks, such as "10.0.0.0/8" or "fd00::/8".
 * @throws {TypeError} naming the option and the entry that is malformed.
 */
export function createAddressList(option: string, entries: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const entry of entries) addEntry(list, option, entry);
  return (address) => isOn(list, address);
}

function isOn(list: BlockList, text: string): boolean {
  const address = text.replace(/%.*$/, "");
  const family = isIP(address);
  return family !== 0 && list.check(address, familyName(family));
}

function addEntry(list: BlockList, option: string, entry: string): void {
  const [address = "", prefix, ...rest] = entry.split("/");
  const family = isIP(address);
  const bits = family === 4 ? 32 : 128;
  const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
  if (family === 0 || address.includes("%") || rest.length > 0 || !(length <= bits)) {
    throw new TypeError(`${option} must hold IP addresses and CIDR blocks, got ${JSON.stringify(entry)}`);
  }
  list.addSubnet(address, length, familyName(family));
}

function familyName(family: number): "ipv4" | "ipv6" {
  return family === 4 ? "ipv4" : "ipv6";
}
