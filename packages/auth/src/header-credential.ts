/** Where in a request a credential stands: the value of a header, behind a prefix. */
export interface HeaderPlace {
  /** Lower-case. */
  readonly header: string;
  /** Such as "Bearer"; "" for none. */
  readonly prefix: string;
}

export type HeaderCredential =
  /** No such header, or one with another prefix. */
  | { readonly kind: "absent" }
  | { readonly kind: "malformed"; readonly reason: string }
  | { readonly kind: "found"; readonly credential: string };

const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const absent: HeaderCredential = { kind: "absent" };
/** Headers have a limit of their own; this one bounds what is hashed. */
const maxCredentialLength = 16_384;
/** What may stand in a header: visible ASCII without the comma that joins headers sent twice. */
const credentialForm = /^[\x21-\x2b\x2d-\x7e]+$/;

/** @throws {TypeError} naming the option. */
export function resolveHeaderPlace({ header, prefix }: HeaderPlace): HeaderPlace {
  if (!headerName.test(header))
    throw new TypeError(`header must be the name of a header, got ${JSON.stringify(header)}`);
  if (!/^[\x21-\x7e]*$/.test(prefix)) throw new TypeError("prefix must be visible ASCII without spaces");
  return { header: header.toLowerCase(), prefix: prefix.toLowerCase() };
}

/**
 * What stands in the value of that header; null: there is none. Prefixes are compared without regard to case, as RFC 9110
 * has schemes.
 */
export function readHeaderCredential(value: string | null, { prefix }: HeaderPlace): HeaderCredential {
  if (value === null || value === "") return absent;
  let credential = value;
  if (prefix !== "") {
    const { length } = prefix;
    if (value.length < length || value.slice(0, length).toLowerCase() !== prefix) return absent;
    if (value.length === length) return { kind: "malformed", reason: "the credential is missing" };
    if (value[length] !== " ") return absent;
    credential = value.slice(length).trim();
  }
  if (credential.length > maxCredentialLength) return { kind: "malformed", reason: "the credential is too long" };
  if (!credentialForm.test(credential)) return { kind: "malformed", reason: "the credential is malformed" };
  return { kind: "found", credential };
}

export function isHeaderCredential(credential: string): boolean {
  return credential.length <= maxCredentialLength && credentialForm.test(credential);
}

/** How a client writes it. */
export function formatHeaderCredential({ prefix }: HeaderPlace, credential: string): string {
  return prefix === "" ? credential : `${prefix} ${credential}`;
}
