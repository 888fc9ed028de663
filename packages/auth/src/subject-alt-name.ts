import { isIP } from "node:net";

/** The names in a certificate, by kind. */
export interface SubjectAltNames {
  readonly dns: readonly string[];
  readonly uri: readonly string[];
  readonly email: readonly string[];
  readonly ip: readonly string[];
}

const kinds: Readonly<Record<string, keyof SubjectAltNames>> = {
  DNS: "dns",
  URI: "uri",
  email: "email",
  "IP Address": "ip",
};

/**
 * Reads `subjectAltName` of Node's X509Certificate: "DNS:a.test, URI:spiffe://a.test/b". Node writes a name that holds a
 * quote, a comma or a control character as a JSON string in which commas are escaped, so no name can look like two, or like
 * one of another kind (CVE-2021-44532). Names of other kinds are left out. Undefined: not Node's form.
 */
export function parseSubjectAltName(text: string | undefined): SubjectAltNames | undefined {
  const names = { dns: [], uri: [], email: [], ip: [] } satisfies Record<keyof SubjectAltNames, string[]>;
  if (text === undefined || text === "") return names;
  for (const entry of text.split(", ")) {
    const colon = entry.indexOf(":");
    if (colon < 1) return undefined;
    const kind = Object.hasOwn(kinds, entry.slice(0, colon)) ? kinds[entry.slice(0, colon)] : undefined;
    const name = readName(entry.slice(colon + 1));
    if (name === undefined) return undefined;
    if (kind === undefined) continue;
    if (kind === "ip" && isIP(name) === 0) return undefined;
    (names[kind] as string[]).push(name);
  }
  return names;
}

const plain = /^[^"',\\\p{Cc}]*$/u;
const quoted = /^"(?:[^"\\,]|\\.)*"$/;

function readName(text: string): string | undefined {
  if (!text.startsWith('"')) return plain.test(text) ? text : undefined;
  if (!quoted.test(text)) return undefined;
  try {
    const name: unknown = JSON.parse(text);
    return typeof name === "string" ? name : undefined;
  } catch {
    return undefined;
  }
}
