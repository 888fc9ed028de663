import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

export interface OddCertificate {
  readonly subject?: x509.JsonNameParams | undefined;
  readonly names?: x509.JsonGeneralNames | undefined;
  readonly usages?: x509.KeyUsageFlags | undefined;
  readonly authority?: boolean | undefined;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);

/** A certificate as an authority would not issue it, signed by itself; PEM. */
export async function oddCertificate(options: OddCertificate): Promise<string> {
  const { subject = [], names = [], usages, authority = false } = options;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      keys,
      name: new x509.Name(subject),
      serialNumber: "00f1",
      notBefore: new Date("2024-01-01"),
      notAfter: new Date("2034-01-01"),
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(authority, undefined, true),
        ...(usages === undefined ? [] : [new x509.KeyUsagesExtension(usages, true)]),
        ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
      ],
    },
    webcrypto,
  );
  return certificate.toString("pem");
}

/** PEM of a revocation list of its own, with these extensions. */
export async function oddRevocationList(
  extensions: readonly x509.Extension[],
  entries: readonly { readonly serialNumber: string; readonly reason?: x509.X509CrlReason }[] = [],
  issuer: x509.JsonName = [{ CN: ["odd"] }],
): Promise<string> {
  const list = await x509.X509CrlGenerator.create(
    {
      issuer,
      thisUpdate: new Date("2024-01-01"),
      nextUpdate: new Date("2034-01-01"),
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
      entries: [...entries],
      extensions: [...extensions],
    },
    webcrypto,
  );
  return x509.PemConverter.encode(list.rawData, "X509 CRL");
}
