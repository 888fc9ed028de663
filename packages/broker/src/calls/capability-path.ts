import { checkName, invalidField } from "@cpg/core/extension";

/** Where a call of a capability goes. */
export interface CapabilityPath {
  readonly type: string;
  readonly grantId: string;
  /** What follows the grant, as the capability sees it: path with its first "/", and query. */
  readonly rest: string;
}

/** Below it are the calls of capabilities. */
export const CAPABILITIES_PREFIX = "/capabilities/";

const grantIdPattern = /^[A-Za-z0-9_-]{1,128}$/;
const notPlain = /[^!-~]|[\\#]/;
const malformedEscape = /%(?![0-9a-fA-F]{2})/;
const controlEscape = /%(?:[01][0-9a-f]|7f)/i;
/**
 * "." and "..", however they and what separates them are spelled, and with the parameters that some readers cut off. Who
 * decodes the path before splitting it sees "%2f" and "%5c" as separators.
 */
const dotSegment = /(?:\/|%2f|%5c)(?:\.|%2e){1,2}(?:[/;]|%2f|%5c|%3b|$)/i;

/**
 * Reads the target of a request, "/capabilities/{type}/{grant_id}/{rest}?{query}". The rest is passed on as it is: what two
 * readers could take for two different paths is refused, never repaired. So is one that begins with "//", which, taken for
 * a URL, names another host.
 * @throws {ConnectError} `invalid_argument`, naming the rule.
 */
export function parseCapabilityPath(target: string): CapabilityPath {
  const question = target.indexOf("?");
  const path = question < 0 ? target : target.slice(0, question);
  const typeEnd = path.indexOf("/", CAPABILITIES_PREFIX.length);
  const grantEnd = typeEnd < 0 ? -1 : path.indexOf("/", typeEnd + 1);
  if (!path.startsWith(CAPABILITIES_PREFIX) || grantEnd < 0) {
    throw invalidField("path", "must be /capabilities/{type}/{grant_id}/{rest}");
  }
  const type = path.slice(CAPABILITIES_PREFIX.length, typeEnd);
  const grantId = path.slice(typeEnd + 1, grantEnd);
  checkName("capability type in the path", type);
  if (!grantIdPattern.test(grantId)) throw invalidField("grant_id in the path", `must match ${grantIdPattern.source}`);
  const rest = target.slice(grantEnd);
  checkRest(path.slice(grantEnd), rest);
  return { type, grantId, rest };
}

function checkRest(path: string, rest: string): void {
  const field = "rest of the path";
  if (notPlain.test(rest)) throw invalidField(field, "must be printable ASCII without \\ and #");
  if (path.includes("//")) throw invalidField(field, "must not have an empty segment");
  if (dotSegment.test(path)) throw invalidField(field, 'must not have a segment "." or ".."');
  if (malformedEscape.test(path)) throw invalidField(field, "must have two hexadecimal digits after each %");
  if (controlEscape.test(path)) throw invalidField(field, "must not hold an encoded control character");
}
