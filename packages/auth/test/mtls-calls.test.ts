import { type AuthEvent, type ClientTls, clientTls, createMtlsAuth, serverTls } from "@cpg/auth";
import { createCertificateAuthority, type IssuedCertificate } from "@cpg/auth/testing";
import { systemClock } from "@cpg/resilience";
import { describe, expect, it } from "vitest";
import { servers } from "./support/who-servers.ts";
import { askWho, knownAs, noConnection, refusedBoth } from "./support/who-service.ts";

const dayMs = 24 * 60 * 60 * 1000;
const inDays = (days: number) => new Date(systemClock.now() + days * dayMs);
const uri = (...values: string[]) => values.map((value) => ({ type: "url", value }) as const);

const [authority, stranger] = await Promise.all([
  createCertificateAuthority(),
  createCertificateAuthority({ commonName: "other-ca" }),
]);
const intermediate = await (await authority.issueAuthority("intermediate-1")).issueAuthority("intermediate-2");
const web = { commonName: "web", organization: "Acme", names: uri("spiffe://example.test/web") };
const [server, leaf, below, expired, early, foreign, revoked, twoIds, otherDomain, noId, serverOnly] =
  await Promise.all([
    authority.issue({ commonName: "server" }),
    authority.issue(web),
    intermediate.issue(web),
    authority.issue({ ...web, notBefore: inDays(-2), notAfter: inDays(-1) }),
    authority.issue({ ...web, notBefore: inDays(1), notAfter: inDays(2) }),
    stranger.issue(web),
    authority.issue(web),
    authority.issue({ ...web, names: uri("spiffe://example.test/web", "spiffe://example.test/admin") }),
    authority.issue({ ...web, names: uri("spiffe://other.test/web") }),
    authority.issue({ ...web, names: [{ type: "dns", value: "spiffe://example.test/web" }] }),
    authority.issue({ ...web, usage: "server" }),
  ]);
const selfSigned: IssuedCertificate = await createCertificateAuthority({ commonName: "self" }).then((self) =>
  self.issue(web),
);

const material = { ...server, ca: authority.ca };
const client = (shown?: IssuedCertificate): ClientTls => clientTls({ ...shown, ca: authority.ca });
const trust = { spiffe: { trustDomains: ["example.test"] } };

describe.each(servers)("createMtlsAuth behind %s", (_, httpVersion, start) => {
  it("knows callers by their certificates, of an authority or one below it, in unary calls and streams", async () => {
    const events: AuthEvent[] = [];
    const auth = createMtlsAuth({ identity: trust, onEvent: (event) => events.push(event) });
    await using running = await start({ tls: serverTls(material), auth });
    for (const shown of [leaf, below]) {
      expect(await askWho(running.open(client(shown), httpVersion))).toEqual(knownAs("spiffe://example.test/web"));
    }
    expect(events).toHaveLength(4);
    expect(events[0]).toMatchObject({
      kind: "proved",
      provider: "mtls",
      identity: "spiffe://example.test/web",
      address: "127.0.0.1",
    });
  });

  it.each([
    ["another authority", foreign, /UNABLE_TO_/],
    ["itself as authority", selfSigned, /UNABLE_TO_|SELF_SIGNED/],
    ["a date in the past", expired, /CERT_HAS_EXPIRED/],
    ["a date in the future", early, /CERT_NOT_YET_VALID/],
    ["a usage for servers only", serverOnly, /INVALID_PURPOSE|UNSUPPORTED/],
    ["a place on the revocation list", revoked, /CERT_REVOKED/],
  ] as const)("lets nobody connect whose certificate has %s, and says so", async (_, shown, reason) => {
    const tls = serverTls({ ...material, crl: await authority.revoke([revoked]) });
    const events: AuthEvent[] = [];
    const auth = createMtlsAuth({ identity: trust, tls, onEvent: (event) => events.push(event) });
    await using running = await start({ tls, auth });
    expect(await askWho(running.open(client(shown), httpVersion))).toEqual(noConnection);
    expect(events).toEqual([]);
    expect(running.handshakeErrors.join()).toMatch(reason);
    expect(await askWho(running.open(client(leaf), httpVersion))).toEqual(knownAs("spiffe://example.test/web"));
  });

  it("lets nobody connect who has none", async () => {
    await using running = await start({ tls: serverTls(material), auth: createMtlsAuth({ identity: trust }) });
    expect(await askWho(running.open(client(), httpVersion))).toEqual(noConnection);
  });

  it.each([
    ["has none", undefined, { kind: "absent" }],
    ["has one of another authority", foreign, { kind: "refused", reason: expect.stringContaining("UNABLE_TO_") }],
    ["has one that expired", expired, { kind: "refused", reason: expect.stringContaining("CERT_HAS_EXPIRED") }],
    ["has one for later", early, { kind: "refused", reason: expect.stringContaining("CERT_NOT_YET_VALID") }],
    ["has one that is revoked", revoked, { kind: "refused", reason: expect.stringContaining("CERT_REVOKED") }],
    ["has two SPIFFE ids", twoIds, { kind: "refused", reason: "the certificate has 2 URIs, not one" }],
    ["is of another trust domain", otherDomain, { kind: "refused", reason: "trust domain other.test is not trusted" }],
    ["has a SPIFFE id for a DNS name", noId, { kind: "refused", reason: "the certificate has 0 URIs, not one" }],
  ] as const)(
    "tells a caller who %s nothing, and the hook why, where TLS lets everybody in",
    async (_, shown, event) => {
      const events: AuthEvent[] = [];
      const tls = { ...serverTls({ ...material, crl: await authority.revoke([revoked]) }), rejectUnauthorized: false };
      const auth = createMtlsAuth({ identity: trust, tls, onEvent: (event) => events.push(event) });
      await using running = await start({ tls, auth });
      expect(await askWho(running.open(client(shown), httpVersion))).toEqual(refusedBoth);
      expect(events).toMatchObject([event, event]);
    },
  );
});
