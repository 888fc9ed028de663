/** What one proxy says of the certificate of whoever called it, in Envoy's form. */
export interface ForwardedClientCert {
  readonly by: readonly string[];
  readonly uri: readonly string[];
  readonly dns: readonly string[];
  /** SHA-256, hexadecimal, in lower case. */
  readonly hash: string | undefined;
  /** As RFC 4514 has it; escapes are left as they are. */
  readonly subject: string | undefined;
  /** The certificate, PEM. */
  readonly cert: string | undefined;
}

/** A certificate and its chain, with room to spare; one header of Node's servers holds no more by default. */
const maxLength = 64 * 1024;
const maxElements = 32;
const maxPairs = 128;

/**
 * Reads the header x-forwarded-client-cert: an element for each proxy, the nearest last. Returns that one: what the proxy
 * that called us says of its own caller. What proxies before it said is checked for its form only.
 *
 * Form: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#x-forwarded-client-cert.
 * In quotes a backslash belongs to the character after it. Undefined: malformed, with a key twice that may be there once,
 * or longer than any proxy makes it.
 */
export function parseForwardedClientCert(header: string): ForwardedClientCert | undefined {
  if (header.length > maxLength) return undefined;
  const elements = readElements(header);
  const last = elements?.at(-1);
  return last === undefined ? undefined : readElement(last);
}

interface Pair {
  /** In lower case. */
  readonly key: string;
  readonly value: string;
}

const pairPattern = /\s*([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"\s*|([^",;]*))(;|,|$)/y;

function readElements(header: string): Pair[][] | undefined {
  const pattern = new RegExp(pairPattern);
  let element: Pair[] = [];
  const elements = [element];
  for (let pairs = 1; pairs <= maxPairs; pairs++) {
    const match = pattern.exec(header);
    if (match === null) return undefined;
    const [, key = "", quoted, bare = "", end] = match;
    element.push({ key: key.toLowerCase(), value: (quoted ?? bare).trim() });
    if (end === "") return elements;
    if (end === ";") {
      // A separator at the end of all is left by some proxies.
      if (/^\s*$/.test(header.slice(pattern.lastIndex))) return elements;
      continue;
    }
    element = [];
    elements.push(element);
    if (elements.length > maxElements) return undefined;
  }
  return undefined;
}

const several = new Set(["by", "uri", "dns"]);
const fingerprint = /^[0-9a-f]{64}$/;

function readElement(pairs: readonly Pair[]): ForwardedClientCert | undefined {
  const values = new Map<string, string[]>();
  for (const { key, value } of pairs) {
    const known = values.get(key);
    if (known === undefined) values.set(key, [value]);
    else if (several.has(key)) known.push(value);
    else return undefined;
  }
  const all = (key: string) => (values.get(key) ?? []).filter((value) => value !== "");
  const one = (key: string) => all(key)[0];
  const hash = one("hash")?.toLowerCase();
  if (hash !== undefined && !fingerprint.test(hash)) return undefined;
  const encoded = one("cert");
  const cert = encoded === undefined ? undefined : decodePem(encoded);
  if (encoded !== undefined && cert === undefined) return undefined;
  return { by: all("by"), uri: all("uri"), dns: all("dns"), hash, subject: one("subject"), cert };
}

function decodePem(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}
