import { X509Certificate } from "node:crypto";
import { type Clock, systemClock } from "@cpg/resilience";
import type { AuthEventOptions } from "./auth-event.ts";
import type { AuthOutcome, AuthProvider, AuthRequest } from "./auth-provider.ts";
import { defineAuthProvider } from "./define-auth-provider.ts";
import { type ForwardedClientCert, parseForwardedClientCert } from "./forwarded-client-cert.ts";
import { createTrustedProxies } from "./forwarded-client-cert-proxies.ts";
import { type CertificateIdentity, resolveCertificateIdentity } from "./mtls-identity.ts";
import { claimsOf, type PeerCertificate, readPeerCertificate } from "./peer-certificate.ts";
import { attributesOf, formatDistinguishedName, parseDistinguishedName } from "./peer-certificate-subject.ts";

export interface ForwardedClientCertAuthOptions extends AuthEventOptions {
  /** Who the holder of a certificate is. A function is called for every call. */
  readonly identity: CertificateIdentity;
  /** Addresses of the proxies, or their networks: "10.0.0.5", "10.0.0.0/8", "fd00::/8". */
  readonly trustedProxies: readonly string[];
  /** Whoever calls through a Unix socket is a proxy, too. Default false. */
  readonly trustUnixSockets?: boolean | undefined;
  /** Whether a certificate is revoked, if the proxy sends all of it (Cert). Default: none is. */
  readonly revoked?: ((certificate: X509Certificate) => boolean) | undefined;
  readonly clock?: Clock | undefined;
}

const header = "x-forwarded-client-cert";
const refused = (reason: string): AuthOutcome => ({ kind: "refused", reason });

/**
 * Who calls is the holder of the certificate that a proxy has verified and tells of in x-forwarded-client-cert, in Envoy's
 * form. Of several elements the last counts: the caller of the proxy that calls us. Anybody else who sends the header is
 * refused, and so is one that is malformed. With the certificate in it (Cert) its dates count, and `Hash` has to be its own.
 *
 * The proxy has to set the header itself (Envoy: SANITIZE_SET or APPEND_FORWARD), and require certificates: what it lets
 * through, counts.
 * @throws {TypeError} for bad options.
 */
export function createForwardedClientCertAuth(options: ForwardedClientCertAuthOptions): AuthProvider {
  const { trustedProxies, trustUnixSockets = false, revoked = () => false, clock = systemClock, onEvent } = options;
  if (!Array.isArray(trustedProxies)) throw new TypeError("trustedProxies must be a list of addresses or networks");
  if (trustedProxies.length === 0 && !trustUnixSockets) throw new TypeError("trustedProxies must name at least one");
  const isProxy = createTrustedProxies(trustedProxies, trustUnixSockets);
  const identify = resolveCertificateIdentity(options.identity);

  const authenticate = (request: AuthRequest): AuthOutcome => {
    const text = request.header.get(header);
    if (text === null) return { kind: "absent" };
    if (!isProxy(request.peer)) return refused(`${header} from a peer that is no trusted proxy`);
    const forwarded = parseForwardedClientCert(text);
    if (forwarded === undefined) return refused(`${header} is malformed`);
    const certificate = forwarded.cert === undefined ? certificateOf(forwarded) : readCert(forwarded);
    if (certificate === undefined) return refused(`${header} holds a certificate that cannot be read`);
    const { notBeforeMs, notAfterMs, x509 } = certificate;
    const nowMs = clock.now();
    if (notAfterMs !== undefined && nowMs > notAfterMs) return refused("the certificate expired");
    if (notBeforeMs !== undefined && nowMs < notBeforeMs) return refused("the certificate is not valid yet");
    if (x509 !== undefined && revoked(x509)) return refused("the certificate is revoked");
    const finding = identify(certificate);
    if ("reason" in finding) return refused(finding.reason);
    const auth = { identity: finding.identity, claims: claimsOf(certificate), provider: "forwarded-client-cert" };
    return { kind: "proved", auth };
  };

  return defineAuthProvider(
    {
      name: "forwarded-client-cert",
      place: `header ${header}`,
      clientInterceptor: () => (next) => next,
      authenticate,
    },
    { onEvent },
  );
}

function readCert({ cert = "", hash }: ForwardedClientCert): PeerCertificate | undefined {
  try {
    const certificate = readPeerCertificate(new X509Certificate(cert));
    return hash === undefined || hash === certificate?.fingerprint ? certificate : undefined;
  } catch {
    return undefined;
  }
}

function certificateOf({ subject = "", uri, dns, hash }: ForwardedClientCert): PeerCertificate {
  // Old proxies write "/C=US/CN=client", in which nothing is escaped: it says nothing for certain.
  const name = parseDistinguishedName(subject, "commas") ?? [];
  return {
    subject: formatDistinguishedName(name),
    commonName: attributesOf(name, "CN"),
    organization: attributesOf(name, "O"),
    uri,
    dns,
    email: [],
    ip: [],
    fingerprint: hash,
    serial: undefined,
    notBeforeMs: undefined,
    notAfterMs: undefined,
    x509: undefined,
  };
}
