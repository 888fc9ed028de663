const pattern = /^(?:\[(?<ipv6>[0-9a-f:.]+)\]|(?<name>[a-z0-9_.-]+))(?<port>:\d{1,5})?$/i;

/**
 * The host of a Host header or :authority, in lower case, without port, brackets and the dot of a fully qualified
 * name. Undefined when it is malformed.
 */
export function hostNameOf(authority: string): { host: string; hasPort: boolean } | undefined {
  const groups = authority.length > 512 ? undefined : pattern.exec(authority)?.groups;
  if (groups === undefined) return undefined;
  const host = groups.ipv6 ?? groups.name?.replace(/\.$/, "");
  return host ? { host: host.toLowerCase(), hasPort: groups.port !== undefined } : undefined;
}
