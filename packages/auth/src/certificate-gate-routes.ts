const segment = String.raw`(?!\.{1,2}(?:\/|$))[\w.~:@!$&'()*+,=-]+`;
/** A path that everybody reads alike: no percent encoding, no empty or dotted segment, no backslash or semicolon. */
const plainPath = new RegExp(`^(?:/${segment})+/?$|^/$`);

/**
 * Whether the target of a request is one of these routes: exact paths, or everything below "/x/" for "/x/*". A target in
 * which a server might see another path than is written there is none of them.
 * @throws {TypeError} for a malformed route.
 */
export function createOpenRoutes(routes: readonly string[]): (target: string) => boolean {
  const exact = new Set<string>();
  const prefixes: string[] = [];
  for (const route of routes) {
    const prefix = route.endsWith("/*") ? route.slice(0, -1) : undefined;
    if (!plainPath.test(prefix ?? route) || (prefix ?? route).includes("*")) {
      throw new TypeError(`openRoutes must be paths such as "/healthz" or "/public/*", got ${JSON.stringify(route)}`);
    }
    if (prefix === undefined) exact.add(route);
    else prefixes.push(prefix);
  }
  return (target) => {
    const query = target.indexOf("?");
    const path = query < 0 ? target : target.slice(0, query);
    return plainPath.test(path) && (exact.has(path) || prefixes.some((prefix) => path.startsWith(prefix)));
  };
}
