import type { X509Certificate } from "node:crypto";
import { type Clock, type Peer, systemClock } from "@cpg/resilience";
import type { AuthEventOptions } from "./auth-event.ts";
import type { AuthOutcome, AuthProvider } from "./auth-provider.ts";
import { defineAuthProvider } from "./define-auth-provider.ts";
import { type CertificateIdentity, resolveCertificateIdentity } from "./mtls-identity.ts";
import { createRevocations } from "./mtls-revocations.ts";
import { claimsOf, readPeerCertificate } from "./peer-certificate.ts";
import type { TlsMaterial, TlsUpdates } from "./tls-material.ts";

export interface MtlsAuthOptions extends AuthEventOptions {
  /** Who the holder of a certificate is. */
  readonly identity: CertificateIdentity;
  /**
   * The listener's material, such as `source.tls`. A revocation list that comes with an update then holds for connections
   * that were made before it too. It is followed until its source closes. Default: lists hold for new connections only.
   */
  readonly tls?: (Pick<TlsMaterial, "crl"> & { readonly updates?: TlsUpdates | undefined }) | undefined;
  /** Another way to tell; called for every call, so it has to be quick. A throw refuses. Default: nothing is revoked. */
  readonly revoked?: ((certificate: X509Certificate) => boolean) | undefined;
  readonly clock?: Clock | undefined;
}

/** What is known of a connection. */
interface Connection {
  readonly outcome: AuthOutcome;
  readonly x509: X509Certificate | undefined;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Of the revocations when it was looked for in them. */
  epoch: number;
  revoked: boolean;
}

const absent: AuthOutcome = { kind: "absent" };
const refused = (reason: string): AuthOutcome => ({ kind: "refused", reason });

/**
 * Who calls is the holder of the certificate of the connection, which TLS has verified (`requestCert`). Over HTTP/1.1 and
 * HTTP/2; the certificate is read once for each connection, while its dates and revocation count for every call. A stream
 * that has begun goes on. Claims: commonName, organization, dns, uri, email, ip (lists), fingerprint, serial, notBefore,
 * notAfter.
 *
 * A revoked certificate of an intermediate authority ends no connection that was made before; limit their age for that.
 * With a server other than that of @cpg/core set `peerKey`, see `nodePeer`: without it every call is one of nobody.
 * On a client it adds nothing: the certificate goes with the connection (`clientTls`).
 * @throws {TypeError} for bad options and for a revocation list that cannot be read.
 */
export function createMtlsAuth(options: MtlsAuthOptions): AuthProvider {
  const { tls, revoked = () => false, clock = systemClock, onEvent } = options;
  const identify = resolveCertificateIdentity(options.identity);
  const revocations = createRevocations();
  revocations.use(tls?.crl);
  tls?.updates?.(({ crl }) => revocations.use(crl));
  const connections = new WeakMap<Peer, Connection>();

  const examine = (peer: Peer): Connection => {
    const always = { notBeforeMs: Number.NEGATIVE_INFINITY, notAfterMs: Number.POSITIVE_INFINITY };
    const never = { x509: undefined, ...always, epoch: -1, revoked: false };
    const x509 = peer.tls?.certificate();
    if (peer.tls === undefined || x509 === undefined) return { ...never, outcome: absent };
    const { authorized, authorizationError = "for no reason given" } = peer.tls;
    if (!authorized) return { ...never, outcome: refused(`the certificate was not verified: ${authorizationError}`) };
    const certificate = readPeerCertificate(x509);
    if (certificate === undefined) return { ...never, outcome: refused("the certificate cannot be read") };
    const finding = identify(certificate);
    const outcome: AuthOutcome =
      "reason" in finding
        ? refused(finding.reason)
        : {
            kind: "proved",
            auth: Object.freeze({ identity: finding.identity, claims: claimsOf(certificate), provider: "mtls" }),
          };
    const { notBeforeMs = Number.NaN, notAfterMs = Number.NaN } = certificate;
    return { outcome, x509, notBeforeMs, notAfterMs, epoch: -1, revoked: false };
  };

  const authenticate = ({ peer }: { readonly peer: Peer | undefined }): AuthOutcome => {
    if (peer === undefined) return absent;
    let connection = connections.get(peer);
    if (connection === undefined) {
      connection = examine(peer);
      connections.set(peer, connection);
    }
    const { x509, notBeforeMs, notAfterMs } = connection;
    if (x509 === undefined) return connection.outcome;
    const nowMs = clock.now();
    if (!(nowMs <= notAfterMs)) return refused(`the certificate expired at ${new Date(notAfterMs).toISOString()}`);
    if (nowMs < notBeforeMs) {
      return refused(`the certificate is not valid before ${new Date(notBeforeMs).toISOString()}`);
    }
    if (connection.epoch !== revocations.epoch) {
      connection.revoked = revocations.include(x509);
      connection.epoch = revocations.epoch;
    }
    if (connection.revoked || revoked(x509)) return refused("the certificate is revoked");
    return connection.outcome;
  };

  return defineAuthProvider(
    { name: "mtls", place: "connection", clientInterceptor: () => (next) => next, authenticate },
    { onEvent },
  );
}
