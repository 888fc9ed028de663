import { randomBytes, webcrypto } from "node:crypto";
import { systemClock } from "@cpg/resilience";
import * as x509 from "@peculiar/x509";

/** PEM, as Node's TLS options take it. */
export interface IssuedCertificate {
  /** The certificate, with the intermediates that lead to the root. */
  readonly cert: string;
  readonly key: string;
}

export interface CertificateRequest {
  readonly commonName: string;
  /** Default: none. */
  readonly organization?: string | undefined;
  /** Names of the certificate. Default: localhost, 127.0.0.1 and ::1. */
  readonly names?: readonly CertificateName[] | undefined;
  /** Default: yesterday. */
  readonly notBefore?: Date | undefined;
  /** Default: in a year. */
  readonly notAfter?: Date | undefined;
  /** What it may be used for. Default: both. */
  readonly usage?: "client" | "server" | "both" | undefined;
}

export interface CertificateName {
  readonly type: "dns" | "ip" | "url" | "email";
  readonly value: string;
}

/** An authority that signs certificates, for tests and examples. */
export interface CertificateAuthority {
  /** PEM: what the other side has to trust. */
  readonly ca: string;
  issue(request: CertificateRequest): Promise<IssuedCertificate>;
  /** An authority that this one has signed; what it issues carries the chain. */
  issueAuthority(commonName: string): Promise<CertificateAuthority>;
  /** PEM: the revocation list of this authority, with these certificates on it. */
  revoke(certificates: readonly IssuedCertificate[]): Promise<string>;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const dayMs = 24 * 60 * 60 * 1000;
const provider = webcrypto;
const defaultNames: readonly CertificateName[] = [
  { type: "dns", value: "localhost" },
  { type: "ip", value: "127.0.0.1" },
  { type: "ip", value: "::1" },
];

export interface AuthorityOptions {
  /** Default "test-ca". */
  readonly commonName?: string | undefined;
  /** The present, wall clock ms; default: that of this machine. */
  readonly nowMs?: number | undefined;
}

/** Makes an authority, its key and its certificate. Nothing of it is stored. Needs the package @peculiar/x509. */
export async function createCertificateAuthority(options: AuthorityOptions = {}): Promise<CertificateAuthority> {
  const { commonName = "test-ca", nowMs = systemClock.now() } = options;
  const keys = await generateKeys();
  const cert = await x509.X509CertificateGenerator.createSelfSigned(
    { ...authorityFacts(commonName, nowMs), keys, signingAlgorithm: algorithm },
    provider,
  );
  return authorityOf({ keys, cert, chain: "", nowMs });
}

interface AuthorityState {
  readonly keys: webcrypto.CryptoKeyPair;
  readonly cert: x509.X509Certificate;
  /** PEM of the authorities between what it issues and the root. */
  readonly chain: string;
  readonly nowMs: number;
}

function authorityOf({ keys, cert, chain, nowMs }: AuthorityState): CertificateAuthority {
  const sign = (facts: SubjectFacts, publicKey: webcrypto.CryptoKey) =>
    x509.X509CertificateGenerator.create(
      { ...facts, publicKey, issuer: cert.subject, signingKey: keys.privateKey, signingAlgorithm: algorithm },
      provider,
    );
  return {
    ca: cert.toString("pem"),
    async issue(request) {
      const { notBefore = new Date(nowMs - dayMs), notAfter = new Date(nowMs + 365 * dayMs) } = request;
      const { usage = "both", names = defaultNames, commonName, organization } = request;
      const subjectKeys = await generateKeys();
      const usages = {
        client: [x509.ExtendedKeyUsage.clientAuth],
        server: [x509.ExtendedKeyUsage.serverAuth],
        both: [x509.ExtendedKeyUsage.clientAuth, x509.ExtendedKeyUsage.serverAuth],
      };
      const facts: SubjectFacts = {
        serialNumber: serialNumber(),
        subject: nameOf(commonName, organization),
        notBefore,
        notAfter,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.ExtendedKeyUsageExtension(usages[usage]),
          ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension([...names])]),
        ],
      };
      const issued = await sign(facts, subjectKeys.publicKey);
      return { cert: `${issued.toString("pem")}\n${chain}`, key: await exportKey(subjectKeys.privateKey) };
    },
    async issueAuthority(commonName) {
      const subjectKeys = await generateKeys();
      const { name, ...facts } = authorityFacts(commonName, nowMs);
      const issued = await sign({ ...facts, subject: name }, subjectKeys.publicKey);
      const issuedChain = `${issued.toString("pem")}\n${chain}`;
      return authorityOf({ keys: subjectKeys, cert: issued, chain: issuedChain, nowMs });
    },
    async revoke(certificates) {
      const list = await x509.X509CrlGenerator.create(
        {
          issuer: cert.subject,
          thisUpdate: new Date(nowMs - dayMs),
          nextUpdate: new Date(nowMs + 365 * dayMs),
          signingKey: keys.privateKey,
          signingAlgorithm: algorithm,
          entries: certificates.map((issued) => ({
            serialNumber: new x509.X509Certificate(issued.cert.split(pemEnd)[0] + pemEnd).serialNumber,
            revocationDate: new Date(nowMs - dayMs),
          })),
        },
        provider,
      );
      return x509.PemConverter.encode(list.rawData, "X509 CRL");
    },
  };
}

const pemEnd = "-----END CERTIFICATE-----";

interface SubjectFacts {
  readonly serialNumber: string;
  readonly subject: x509.JsonName;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly extensions: x509.Extension[];
}

function authorityFacts(commonName: string, nowMs: number) {
  return {
    serialNumber: serialNumber(),
    name: nameOf(commonName, undefined),
    notBefore: new Date(nowMs - dayMs),
    notAfter: new Date(nowMs + 10 * 365 * dayMs),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  };
}

function nameOf(commonName: string, organization: string | undefined): x509.JsonName {
  return [...(organization === undefined ? [] : [{ O: [organization] }]), { CN: [commonName] }];
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return provider.subtle.generateKey(algorithm, true, ["sign", "verify"]) as Promise<webcrypto.CryptoKeyPair>;
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await provider.subtle.exportKey("pkcs8", key), "PRIVATE KEY");
}

/** Positive and never 0, as RFC 5280 wants it. */
function serialNumber(): string {
  return `01${randomBytes(15).toString("hex")}`;
}
