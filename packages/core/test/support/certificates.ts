import { randomBytes, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

/** PEM, as Node's TLS options take it. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

export interface TestCertificates {
  /** Certificate of the authority that signed the others. */
  readonly ca: string;
  /** For localhost, 127.0.0.1 and ::1. */
  readonly server: KeyPair;
  /** Common name "test-client", SPIFFE id spiffe://example.test/client. */
  readonly client: KeyPair;
  /** A client certificate that another authority signed. */
  readonly stranger: KeyPair;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
// Valid for a long time around any clock on which the tests may run.
const validity = { notBefore: new Date("2020-01-01"), notAfter: new Date("2120-01-01") };

/** A certificate authority and what it signed, all made for this test run; nothing of it is stored. */
export async function createCertificates(name = "test-ca"): Promise<TestCertificates> {
  const [authority, other] = await Promise.all([createAuthority(`CN=${name}`), createAuthority("CN=other-ca")]);
  const [server, client, stranger] = await Promise.all([
    authority.issue("CN=localhost", x509.ExtendedKeyUsage.serverAuth, [
      { type: "dns", value: "localhost" },
      { type: "ip", value: "127.0.0.1" },
      { type: "ip", value: "::1" },
    ]),
    authority.issue("CN=test-client", x509.ExtendedKeyUsage.clientAuth, [
      { type: "url", value: "spiffe://example.test/client" },
    ]),
    other.issue("CN=stranger", x509.ExtendedKeyUsage.clientAuth, [{ type: "dns", value: "stranger.test" }]),
  ]);
  return { ca: authority.cert, server, client, stranger };
}

interface Authority {
  readonly cert: string;
  issue(name: string, usage: x509.ExtendedKeyUsage, names: x509.JsonGeneralNames): Promise<KeyPair>;
}

async function createAuthority(name: string): Promise<Authority> {
  const keys = await generateKeys();
  const root = await x509.X509CertificateGenerator.createSelfSigned(
    {
      ...validity,
      name,
      serialNumber: serialNumber(),
      keys,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      ],
    },
    webcrypto,
  );
  return {
    cert: root.toString("pem"),
    async issue(subject, usage, names) {
      const leafKeys = await generateKeys();
      const leaf = await x509.X509CertificateGenerator.create(
        {
          ...validity,
          subject,
          issuer: root.subject,
          serialNumber: serialNumber(),
          publicKey: leafKeys.publicKey,
          signingKey: keys.privateKey,
          signingAlgorithm: algorithm,
          extensions: [
            new x509.BasicConstraintsExtension(false),
            new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
            new x509.ExtendedKeyUsageExtension([usage]),
            new x509.SubjectAlternativeNameExtension(names),
          ],
        },
        webcrypto,
      );
      const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", leafKeys.privateKey);
      return { cert: leaf.toString("pem"), key: x509.PemConverter.encode(pkcs8, "PRIVATE KEY") };
    },
  };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

function serialNumber(): string {
  return `01${randomBytes(15).toString("hex")}`;
}
