import { X509Certificate } from "node:crypto";
import { type AuthEvent, createMtlsAuth, createTlsSource, type MtlsAuthOptions } from "@cpg/auth";
import { createCertificateAuthority } from "@cpg/auth/testing";
import type { Peer } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { admitted, callBoth, guardedService, refused } from "./support/guarded-service.ts";

const hourMs = 60 * 60 * 1000;
const authority = await createCertificateAuthority();
const validFrom = Math.floor(new FakeClock().now() / 1000) * 1000 + hourMs;
const issued = await authority.issue({
  commonName: "web",
  notBefore: new Date(validFrom),
  notAfter: new Date(validFrom + hourMs),
});
const certificate = new X509Certificate(issued.cert);
const crl = await authority.revoke([issued]);
const empty = await authority.revoke([]);

function peerWith(tls: Partial<NonNullable<Peer["tls"]>> = {}): Peer {
  const defaults = {
    protocol: "TLSv1.3",
    authorized: true,
    authorizationError: undefined,
    certificate: () => certificate,
  };
  return { network: "tcp", address: "10.0.0.1", port: 1, tls: { ...defaults, ...tls } };
}

/** Within the time of the certificate. */
function setUp(options: Partial<MtlsAuthOptions> = {}, peer: Peer | undefined = peerWith()) {
  const clock = new FakeClock();
  const events: AuthEvent[] = [];
  const auth = createMtlsAuth({ identity: "subject", clock, onEvent: (event) => events.push(event), ...options });
  const service = guardedService({ server: [auth.serverInterceptor()], peer });
  const reasons = () => events.map((event) => ("reason" in event ? event.reason : event.kind));
  return { clock, auth, service, reasons };
}

describe("createMtlsAuth", () => {
  it("knows the holder for as long as the certificate is valid, on a connection that lasts longer", async () => {
    const { clock, service, reasons } = setUp();
    expect(await callBoth(service)).toEqual(refused);
    await clock.advance(validFrom - clock.now());
    expect(await callBoth(service)).toEqual(admitted);
    await clock.advance(hourMs);
    expect(await callBoth(service)).toEqual(admitted);
    await clock.advance(1);
    expect(await callBoth(service)).toEqual(refused);
    const early = `the certificate is not valid before ${new Date(validFrom).toISOString()}`;
    const late = `the certificate expired at ${new Date(validFrom + hourMs).toISOString()}`;
    expect(reasons()).toEqual([early, early, "proved", "proved", "proved", "proved", late, late]);
    expect(service.seen.map((auth) => auth?.identity)).toEqual(Array(4).fill("CN=web"));
  });

  it("reads the certificate of a connection once, and gives all its calls one frozen context", async () => {
    let reads = 0;
    let asked = 0;
    const peer = peerWith({
      certificate() {
        reads++;
        return certificate;
      },
    });
    const identity = () => {
      asked++;
      return "ann";
    };
    const { clock, service } = setUp({ identity }, peer);
    await clock.advance(validFrom - clock.now());
    for (let calls = 0; calls < 5; calls++) expect(await callBoth(service)).toEqual(admitted);
    expect([reads, asked]).toEqual([1, 1]);
    expect(new Set(service.seen).size).toBe(1);
    expect(Object.isFrozen(service.seen[0])).toBe(true);
  });

  it("refuses a certificate that an update of the source revokes, and takes it back with the next", async () => {
    let list = empty;
    await using source = await createTlsSource({ load: () => ({ crl: list }), refreshMs: 0 });
    const { clock, service, reasons } = setUp({ tls: source.tls });
    await clock.advance(validFrom - clock.now());
    expect(await callBoth(service)).toEqual(admitted);
    list = crl;
    await source.reload();
    expect(await callBoth(service)).toEqual(refused);
    expect(reasons().at(-1)).toBe("the certificate is revoked");
    list = empty;
    await source.reload();
    expect(await callBoth(service)).toEqual(admitted);
  });

  it("knows the list that it began with", async () => {
    const { clock, service } = setUp({ tls: { crl } });
    await clock.advance(validFrom - clock.now());
    expect(await callBoth(service)).toEqual(refused);
  });

  it("asks the function about every call, and refuses what it throws about", async () => {
    let answer: () => boolean = () => false;
    const { clock, service, reasons } = setUp({ revoked: (given) => given === certificate && answer() });
    await clock.advance(validFrom - clock.now());
    expect(await callBoth(service)).toEqual(admitted);
    answer = () => true;
    expect(await callBoth(service)).toEqual(refused);
    answer = () => {
      throw new Error("down");
    };
    expect(await callBoth(service)).toEqual(refused);
    expect(reasons().slice(2)).toEqual([
      "the certificate is revoked",
      "the certificate is revoked",
      "provider mtls failed",
      "provider mtls failed",
    ]);
  });

  it.each<[string, Peer | undefined, string]>([
    ["whom the server does not tell of", undefined, "absent"],
    ["without TLS", { network: "tcp", address: "10.0.0.1", port: 1, tls: undefined }, "absent"],
    ["without a certificate", peerWith({ authorized: false, certificate: () => undefined }), "absent"],
    ["that claims to be verified without a certificate", peerWith({ certificate: () => undefined }), "absent"],
    [
      "whose certificate was not verified",
      peerWith({ authorized: false, authorizationError: "CERT_REVOKED" }),
      "the certificate was not verified: CERT_REVOKED",
    ],
    [
      "whose certificate was not verified, for no reason",
      peerWith({ authorized: false }),
      "the certificate was not verified: for no reason given",
    ],
  ])("refuses a peer %s", async (_, peer, reason) => {
    const clock = new FakeClock();
    const events: AuthEvent[] = [];
    const auth = createMtlsAuth({ identity: "subject", clock, onEvent: (event) => events.push(event) });
    const service = guardedService({ server: [auth.serverInterceptor()], peer });
    await clock.advance(validFrom - clock.now());
    expect(await callBoth(service)).toEqual(refused);
    expect(events.map((event) => ("reason" in event ? event.reason : event.kind))).toEqual([reason, reason]);
  });

  it("refuses to begin with a bad option", () => {
    expect(() => createMtlsAuth({ identity: "subject", tls: { crl: "nonsense" } })).toThrow(
      "crl must hold revocation lists in PEM",
    );
    expect(() => createMtlsAuth({ identity: "dn" as "dns" })).toThrow(/identity must be/);
  });
});
