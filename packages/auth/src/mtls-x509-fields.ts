import { childrenOf, contentOf, type DerElement, derTag, hexOf, malformed, readDer } from "./mtls-der.ts";

/** What Node's X509Certificate does not tell. */
export interface X509Fields {
  /** One text for one name, for comparing. */
  readonly issuer: string;
  /** Hexadecimal, without leading zeros. */
  readonly serial: string;
  /** Whether the key usage lets it sign certificates or revocation lists. */
  readonly signsCertificates: boolean;
}

const versionTag = 0xa0;
const extensionsTag = 0xa3;
const keyUsageOid = "551d0f";
/** keyCertSign and cRLSign, https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.3 */
const signingBits = 0b0000_0110;

/** @throws {TypeError} for bytes that are no certificate. */
export function readX509Fields(certificate: Uint8Array): X509Fields {
  const [body] = childrenOf(readDer(certificate));
  if (body === undefined) throw malformed();
  const fields = [...childrenOf(body)];
  if (fields[0]?.tag === versionTag) fields.shift();
  const [serial, , issuer] = fields;
  if (serial?.tag !== derTag.integer || issuer?.tag !== derTag.sequence) throw malformed();
  const extensions = fields.find(({ tag }) => tag === extensionsTag);
  return {
    issuer: comparableName(issuer),
    serial: comparableSerial(serial),
    signsCertificates: extensions !== undefined && hasSigningUsage(extensions),
  };
}

function hasSigningUsage(extensions: DerElement): boolean {
  for (const { oid, value } of readExtensions(extensions)) {
    if (oid !== keyUsageOid) continue;
    const usage = readDer(value);
    if (usage.tag !== derTag.bitString) throw malformed();
    return ((contentOf(usage)[1] ?? 0) & signingBits) !== 0;
  }
  return false;
}

export interface X509Extension {
  /** Hexadecimal. */
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/** @param explicit - the element around the list. */
export function* readExtensions(explicit: DerElement): Generator<X509Extension, void, void> {
  const [list] = childrenOf(explicit);
  if (list?.tag !== derTag.sequence) throw malformed();
  for (const extension of childrenOf(list)) {
    const [oid, ...rest] = childrenOf(extension);
    const value = rest.at(-1);
    if (oid?.tag !== derTag.oid || value?.tag !== derTag.octetString) throw malformed();
    yield { oid: hexOf(oid), critical: rest[0]?.tag === derTag.boolean, value: contentOf(value) };
  }
}

/** As OpenSSL compares names: whatever the kind of string, in lower case, each run of spaces as one. */
export function comparableName(name: DerElement): string {
  const parts: string[] = [];
  for (const part of childrenOf(name)) {
    const attributes: string[] = [];
    for (const attribute of childrenOf(part)) {
      const [oid, value] = childrenOf(attribute);
      if (oid?.tag !== derTag.oid || value === undefined) throw malformed();
      attributes.push(JSON.stringify([hexOf(oid), textOf(value).trim().replace(/\s+/g, " ").toLowerCase()]));
    }
    parts.push(attributes.sort().join("+"));
  }
  return parts.join(",");
}

const bmpStringTag = 0x1e;
const universalStringTag = 0x1c;
const utf8StringTag = 0x0c;

function textOf(value: DerElement): string {
  const bytes = Buffer.from(contentOf(value));
  if (value.tag === utf8StringTag) return bytes.toString("utf8");
  const width = value.tag === bmpStringTag ? 2 : value.tag === universalStringTag ? 4 : 1;
  if (bytes.length % width !== 0) throw malformed();
  if (width === 1) return bytes.toString("latin1");
  let text = "";
  for (let at = 0; at < bytes.length; at += width) {
    const code = bytes.readUIntBE(at, width);
    if (code > 0x10ffff) throw malformed();
    text += String.fromCodePoint(code);
  }
  return text;
}

export function comparableSerial(serial: DerElement): string {
  return hexOf(serial).replace(/^(?:00)+(?=..)/, "");
}
