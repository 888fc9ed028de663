import { formatEndpoint, parseEndpoint } from "../wire/endpoint.ts";
import { type EndpointDiscovery, MAX_ENDPOINTS } from "./endpoint-discovery.ts";

/**
 * Endpoints that never change, the preferred one first.
 * @throws {TypeError} {RangeError} for a list that is empty, names an endpoint twice, more than 100, or a malformed one.
 * @example
 * createPluginClient({ endpoint: staticEndpoints(["http://10.0.0.1:8080", "http://10.0.0.2:8080"]), plugins: { kv } });
 */
export function staticEndpoints(endpoints: readonly string[]): EndpointDiscovery {
  const list = Object.freeze(checkEndpoints("endpoints", endpoints));
  return {
    async discover({ signal } = {}) {
      signal?.throwIfAborted();
      return list;
    },
    async *watch({ signal } = {}) {
      signal?.throwIfAborted();
      yield list;
    },
  };
}

/** A copy of the list. @throws {TypeError} {RangeError} naming the option and the rule. */
export function checkEndpoints(option: string, endpoints: readonly string[]): string[] {
  if (!(Array.isArray(endpoints) && endpoints.length > 0 && endpoints.length <= MAX_ENDPOINTS)) {
    throw new RangeError(`${option} must be a list of 1 to ${MAX_ENDPOINTS} endpoints`);
  }
  const seen = new Set<string>();
  for (const [index, endpoint] of endpoints.entries()) {
    const name = `${option}[${index}]`;
    const canonical = canonicalEndpoint(name, endpoint);
    if (seen.has(canonical)) throw new TypeError(`${name} is there twice`);
    seen.add(canonical);
  }
  return [...endpoints];
}

function canonicalEndpoint(name: string, endpoint: unknown): string {
  if (typeof endpoint !== "string") throw new TypeError(`${name} must be a string`);
  try {
    return formatEndpoint(parseEndpoint(endpoint));
  } catch (reason) {
    const rule = reason instanceof Error ? reason.message.replace(/^endpoint /, "") : "is malformed";
    throw new TypeError(`${name} ${rule}`, { cause: reason });
  }
}
