import { Code, ConnectError } from "@connectrpc/connect";
import { invalidField } from "@cpg/core/extension";

/** The name of a method, as nearly every routed call has it: nothing in it can be misread. */
const oneWord = /^[A-Za-z0-9_-]+$/;
const notPlain = /[^!-~]|[\\#?]/;
/** A dot, slash, backslash or control character. */
const hiddenSyntax = /%(?:2e|2f|5c|[01][0-9a-f]|7f)/i;
/** "." and "..", also with the parameters that some servers cut off. */
const dotSegment = /(?:^|\/)\.{1,2}(?:[;/]|$)/;
const escapeSequence = /%([0-9a-f]{2})/gi;
/** RFC 3986, section 2.3: encoded or not, they are the same. Without the dot, which is not allowed to be encoded. */
const needlessEscape = /%(?:3[0-9]|[46][1-9a-f]|[57][0-9a]|2d|5f|7e)/gi;
const protectedSegment = /(?:^|\/)connectplugin\./i;
/** How often a path may be encoded over and over. Nobody needs more than two. */
const maxEncodings = 4;

/**
 * Checks a path, or a part of one, without its first "/" and without a query: only what all servers read in the same way
 * passes. Refused are ".", "..", empty segments, backslashes, "#" and characters outside of printable ASCII; escapes that
 * are malformed, no UTF-8, or hide a dot, slash, backslash or control character, encoded once or many times; and every
 * segment that begins with "connectplugin.", in whatever spelling: a provider's own control is not for its callers.
 * @throws {ConnectError} `invalid_argument`, naming the field and the rule; `permission_denied` for "connectplugin.".
 */
export function checkRoutedPath(field: string, path: string): void {
  if (oneWord.test(path)) return;
  if (notPlain.test(path)) {
    throw invalidField(field, "must be printable ASCII without \\, # and ?; encode other characters as UTF-8");
  }
  if (path.startsWith("/") || path.includes("//")) throw invalidField(field, "must not have an empty segment");
  if (dotSegment.test(path)) throw invalidField(field, 'must not have a segment "." or ".."');
  if (path.includes("%")) checkEscapes(field, path);
  if (protectedSegment.test(decodedFully(field, path))) {
    throw new ConnectError("nothing below connectplugin. can be reached through the host", Code.PermissionDenied);
  }
}

/** The path as policies are to compare it: without escapes of characters that need none. */
export function comparablePath(path: string): string {
  return path.includes("%") ? path.replace(needlessEscape, decodeOne) : path;
}

function checkEscapes(field: string, path: string): void {
  if (hiddenSyntax.test(path)) {
    throw invalidField(field, "must not hold an encoded dot, slash, backslash or control character");
  }
  try {
    decodeURIComponent(path);
  } catch {
    throw invalidField(field, "must hold percent escapes of UTF-8 only");
  }
}

function decodedFully(field: string, path: string): string {
  let text = path;
  for (let round = 0; round < maxEncodings; round++) {
    const decoded = text.replace(escapeSequence, decodeOne);
    if (decoded === text) return text;
    // One that shows only now.
    if (hiddenSyntax.test(decoded))
      throw invalidField(field, "must not hold an encoded dot, slash or control character");
    text = decoded;
  }
  throw invalidField(field, `must not be encoded more than ${maxEncodings - 1} times`);
}

/** Byte by byte: what is looked for is ASCII. */
function decodeOne(escaped: string): string {
  return String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
}
