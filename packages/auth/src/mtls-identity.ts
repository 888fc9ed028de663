import { readX509Fields } from "./mtls-x509-fields.ts";
import type { PeerCertificate } from "./peer-certificate.ts";
import { isTrustDomain, parseSpiffeId } from "./spiffe-id.ts";

/**
 * What of a certificate says who its holder is.
 *
 * - `spiffe`: its SPIFFE id, "spiffe://example.org/web". It has to be the only URI, in one of the trust domains, and the
 *   certificate not one that signs others (X.509-SVID). The authorities that the listener trusts are trusted for all of them.
 * - "dns": its DNS name, in lower case. It has to be the only one, and no wildcard.
 * - "subject": its distinguished name, as RFC 4514 has it: "CN=client,O=Acme".
 * - a function: what it returns; undefined, "" or a throw: nobody. Called once for each connection.
 */
export type CertificateIdentity =
  | { readonly spiffe: { readonly trustDomains: readonly string[] } }
  | "dns"
  | "subject"
  | ((certificate: PeerCertificate) => string | undefined);

/** Who it is, or why nobody. */
export type IdentityFinding = { readonly identity: string } | { readonly reason: string };

/** @throws {TypeError} for a bad option. */
export function resolveCertificateIdentity(
  option: CertificateIdentity,
): (certificate: PeerCertificate) => IdentityFinding {
  if (option === "dns") return dnsIdentity;
  if (option === "subject") return subjectIdentity;
  if (typeof option === "function") return (certificate) => ownIdentity(option, certificate);
  const trustDomains = option?.spiffe?.trustDomains;
  if (!Array.isArray(trustDomains)) throw new TypeError('identity must be { spiffe }, "dns", "subject" or a function');
  if (trustDomains.length === 0) throw new TypeError("identity.spiffe.trustDomains must name at least one");
  const malformed = trustDomains.find((name) => typeof name !== "string" || !isTrustDomain(name));
  if (malformed !== undefined) {
    throw new TypeError(
      `identity.spiffe.trustDomains must be names such as "example.org", got ${JSON.stringify(malformed)}`,
    );
  }
  const trusted = new Set<string>(trustDomains);
  return (certificate) => spiffeIdentity(certificate, trusted);
}

function spiffeIdentity({ uri, x509 }: PeerCertificate, trusted: ReadonlySet<string>): IdentityFinding {
  const [text] = uri;
  if (text === undefined || uri.length > 1) return { reason: `the certificate has ${uri.length} URIs, not one` };
  const id = parseSpiffeId(text);
  if (id === undefined) return { reason: "the URI of the certificate is no SPIFFE id of a workload" };
  if (!trusted.has(id.trustDomain)) return { reason: `trust domain ${id.trustDomain} is not trusted` };
  // https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md#52-leaf-validation
  if (x509 !== undefined && (x509.ca || readX509Fields(x509.raw).signsCertificates)) {
    return { reason: "the certificate is one that signs others" };
  }
  return { identity: text };
}

const hostName = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))*$/;

function dnsIdentity({ dns }: PeerCertificate): IdentityFinding {
  const name = dns[0]?.toLowerCase();
  if (name === undefined || dns.length > 1) return { reason: `the certificate has ${dns.length} DNS names, not one` };
  return hostName.test(name) ? { identity: name } : { reason: "the DNS name of the certificate is no name of a host" };
}

function subjectIdentity({ subject }: PeerCertificate): IdentityFinding {
  return subject === "" ? { reason: "the certificate has no subject" } : { identity: subject };
}

function ownIdentity(
  nameOf: (certificate: PeerCertificate) => string | undefined,
  certificate: PeerCertificate,
): IdentityFinding {
  try {
    const identity: unknown = nameOf(certificate);
    if (typeof identity === "string" && identity !== "") return { identity };
    return { reason: "the identity function knows nobody with this certificate" };
  } catch {
    return { reason: "the identity function failed" };
  }
}
