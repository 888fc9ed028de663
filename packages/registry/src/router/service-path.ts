import { checkName, invalidField, isRuntimeId, RUNTIME_ID_RULE } from "@cpg/core/extension";
import { checkRoutedPath } from "./routed-path.ts";

/** Where a routed call wants to go. */
export interface ServicePath {
  readonly type: string;
  /** Runtime id of the provider. Undefined: whichever the selection picks. */
  readonly providerId: string | undefined;
  /** What follows the provider, without its first "/". May be empty. */
  readonly rest: string;
  /** With its "?", or empty. */
  readonly query: string;
}

/** Below it are the calls that the host routes. */
export const SERVICES_PREFIX = "/services/";

/** Stands in the place of the provider where the host is to choose one. */
const ANY_PROVIDER = "-";

const badInQuery = /[^!-~]|#/;

/**
 * Reads the target of a request, "/services/{type}/{provider}/{rest}?{query}". What it returns is spelled as received: a
 * path that two programs could read in two ways is refused, see `checkRoutedPath`, never repaired.
 * @param target begins with "/services/".
 * @throws {ConnectError} `invalid_argument` for a malformed one, `permission_denied` for one below /connectplugin.
 */
export function parseServicePath(target: string): ServicePath {
  const question = target.indexOf("?");
  const path = question < 0 ? target : target.slice(0, question);
  const query = question < 0 ? "" : target.slice(question);
  const typeEnd = path.indexOf("/", SERVICES_PREFIX.length);
  const providerEnd = typeEnd < 0 ? -1 : path.indexOf("/", typeEnd + 1);
  if (!path.startsWith(SERVICES_PREFIX) || providerEnd < 0) {
    throw invalidField("path", "must be /services/{type}/{provider}/{rest}, with - for any provider");
  }
  const type = path.slice(SERVICES_PREFIX.length, typeEnd);
  const provider = path.slice(typeEnd + 1, providerEnd);
  const rest = path.slice(providerEnd + 1);
  checkName("service type in the path", type);
  const anyProvider = provider === ANY_PROVIDER;
  if (!anyProvider && !isRuntimeId(provider)) throw invalidField("provider in the path", RUNTIME_ID_RULE);
  checkRoutedPath("rest of the path", rest);
  if (badInQuery.test(query)) throw invalidField("query", "must be printable ASCII without #; encode other characters");
  return { type, providerId: anyProvider ? undefined : provider, rest, query };
}
