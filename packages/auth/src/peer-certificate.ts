import type { X509Certificate } from "node:crypto";
import { attributesOf, formatDistinguishedName, parseDistinguishedName } from "./peer-certificate-subject.ts";
import { parseSubjectAltName, type SubjectAltNames } from "./subject-alt-name.ts";

/** What a certificate says of its holder. */
export interface PeerCertificate extends SubjectAltNames {
  /** As RFC 4514 has it: "CN=client,O=Acme". */
  readonly subject: string;
  readonly commonName: readonly string[];
  readonly organization: readonly string[];
  /** SHA-256 of the certificate, 64 hexadecimal digits in lower case. Undefined: a proxy did not tell. */
  readonly fingerprint: string | undefined;
  /** Hexadecimal, as Node has it. Undefined: a proxy did not tell. */
  readonly serial: string | undefined;
  /** Wall clock, ms since the epoch. Undefined: a proxy did not tell. */
  readonly notBeforeMs: number | undefined;
  /** Wall clock, ms since the epoch. Undefined: a proxy did not tell. */
  readonly notAfterMs: number | undefined;
  /** The certificate itself. Undefined: a proxy told only of it. */
  readonly x509: X509Certificate | undefined;
}

/** Undefined: its names cannot be read for certain. */
export function readPeerCertificate(x509: X509Certificate): PeerCertificate | undefined {
  // An empty subject is undefined at run time.
  const name = parseDistinguishedName((x509.subject as string | undefined) ?? "", "lines");
  const names = parseSubjectAltName(x509.subjectAltName);
  const notBeforeMs = x509.validFromDate.getTime();
  const notAfterMs = x509.validToDate.getTime();
  if (name === undefined || names === undefined || Number.isNaN(notBeforeMs) || Number.isNaN(notAfterMs)) {
    return undefined;
  }
  return {
    subject: formatDistinguishedName(name),
    commonName: attributesOf(name, "CN"),
    organization: attributesOf(name, "O"),
    ...names,
    fingerprint: x509.fingerprint256.replaceAll(":", "").toLowerCase(),
    serial: x509.serialNumber,
    notBeforeMs,
    notAfterMs,
    x509,
  };
}

/**
 * What it says, as claims. Texts that its holder may have chosen are lists, so that a rule about a claim finds the whole
 * of one or nothing.
 */
export function claimsOf(certificate: PeerCertificate): Readonly<Record<string, unknown>> {
  const { fingerprint, serial, notBeforeMs, notAfterMs } = certificate;
  const list = (texts: readonly string[]) => Object.freeze([...texts]);
  return Object.freeze({
    commonName: list(certificate.commonName),
    organization: list(certificate.organization),
    dns: list(certificate.dns),
    uri: list(certificate.uri),
    email: list(certificate.email),
    ip: list(certificate.ip),
    ...(fingerprint === undefined ? {} : { fingerprint }),
    ...(serial === undefined ? {} : { serial }),
    ...(notBeforeMs === undefined ? {} : { notBefore: new Date(notBeforeMs).toISOString() }),
    ...(notAfterMs === undefined ? {} : { notAfter: new Date(notAfterMs).toISOString() }),
  });
}
