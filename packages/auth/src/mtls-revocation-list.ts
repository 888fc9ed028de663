import { childrenOf, type DerElement, derTag, malformed, readDer } from "./mtls-der.ts";
import { comparableName, comparableSerial, readExtensions } from "./mtls-x509-fields.ts";
import type { TlsMaterial } from "./tls-material.ts";

/** What an authority has revoked. */
export interface RevocationList {
  /** As `readX509Fields` has it. */
  readonly issuer: string;
  readonly serials: ReadonlySet<string>;
}

const pemBlock = /-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]+)-----END X509 CRL-----/g;
const extensionsTag = 0xa0;
/** Which certificates the list is about; whatever they are, those that it names are revoked. */
const distributionPointOid = "551d1c";

/**
 * Reads revocation lists, one or more in each PEM. Their signatures are for OpenSSL, which checks them in handshakes.
 * Lists that only add to others, or are about certificates of other authorities, are refused, as OpenSSL does.
 * @throws {TypeError} saying what is wrong.
 */
export function readRevocationLists(crl: TlsMaterial["crl"]): readonly RevocationList[] {
  return [crl ?? []].flat().flatMap((pem) => {
    const blocks = [...String(pem).matchAll(pemBlock)];
    if (blocks.length === 0) throw new TypeError("crl must hold revocation lists in PEM");
    return blocks.map(([, base64 = ""]) => readRevocationList(Buffer.from(base64, "base64")));
  });
}

/** https://www.rfc-editor.org/rfc/rfc5280#section-5.1 */
function readRevocationList(der: Uint8Array): RevocationList {
  const [body] = childrenOf(readDer(der));
  if (body === undefined) throw malformed();
  const fields = [...childrenOf(body)];
  if (fields[0]?.tag === derTag.integer) fields.shift();
  const [, issuer, , ...rest] = fields;
  if (issuer?.tag !== derTag.sequence) throw malformed();
  const serials = new Set<string>();
  for (const field of rest) {
    if (field.tag === derTag.sequence) for (const entry of childrenOf(field)) serials.add(readEntry(entry));
    else if (field.tag === extensionsTag) checkExtensions(field);
  }
  return { issuer: comparableName(issuer), serials };
}

function readEntry(entry: DerElement): string {
  const [serial, , extensions] = childrenOf(entry);
  if (serial?.tag !== derTag.integer) throw malformed();
  if (extensions !== undefined) checkExtensions({ ...entry, inside: extensions.start, end: extensions.end });
  return comparableSerial(serial);
}

function checkExtensions(explicit: DerElement): void {
  for (const { oid, critical } of readExtensions(explicit)) {
    if (critical && oid !== distributionPointOid) {
      throw new TypeError(`crl has the critical extension ${oid} (hexadecimal), which is not supported`);
    }
  }
}

/** A list for each PEM: of several in one, OpenSSL reads the first. */
export function splitRevocationLists<Material extends TlsMaterial>(material: Material): Material {
  if (material.crl === undefined) return material;
  const crl = [material.crl].flat().flatMap((pem) => {
    const blocks = [...String(pem).matchAll(pemBlock)];
    return blocks.length < 2 ? [pem] : blocks.map(([block]) => block);
  });
  return { ...material, crl };
}
