import { X509Certificate } from "node:crypto";
import { KeyUsageFlags } from "@peculiar/x509";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CertificateIdentity, resolveCertificateIdentity } from "../src/mtls-identity.ts";
import { claimsOf, type PeerCertificate, readPeerCertificate } from "../src/peer-certificate.ts";
import { type OddCertificate, oddCertificate } from "./support/odd-certificate.ts";

async function read(options: OddCertificate): Promise<PeerCertificate> {
  const certificate = readPeerCertificate(new X509Certificate(await oddCertificate(options)));
  if (certificate === undefined) throw new Error("it cannot be read");
  return certificate;
}

const dns = (value: string) => ({ type: "dns", value }) as const;
const url = (value: string) => ({ type: "url", value }) as const;
const spiffe: CertificateIdentity = { spiffe: { trustDomains: ["a.test"] } };

describe("readPeerCertificate", () => {
  it("tells what the certificate says, and claims it", async () => {
    const certificate = await read({
      subject: [{ O: ["Acme, Inc."] }, { O: ["West"] }, { CN: ["web + more"] }],
      names: [dns("a.test"), url("spiffe://a.test/web"), { type: "email", value: "a@b" }, { type: "ip", value: "::1" }],
    });
    const { x509 } = certificate;
    expect(certificate.subject).toBe(String.raw`CN=web \+ more,O=West,O=Acme\, Inc.`);
    const claims = claimsOf(certificate);
    expect(claims).toEqual({
      commonName: ["web + more"],
      organization: ["Acme, Inc.", "West"],
      dns: ["a.test"],
      uri: ["spiffe://a.test/web"],
      email: ["a@b"],
      ip: ["0:0:0:0:0:0:0:1"],
      fingerprint: x509?.fingerprint256.replaceAll(":", "").toLowerCase(),
      serial: "F1",
      notBefore: "2024-01-01T00:00:00.000Z",
      notAfter: "2034-01-01T00:00:00.000Z",
    });
    expect(Object.values(claims).every((claim) => Object.isFrozen(claim)) && Object.isFrozen(claims)).toBe(true);
  });

  it("finds in real certificates the names that are in them, however hostile", async () => {
    const ascii = fc.string({ unit: fc.integer({ min: 1, max: 126 }).map((code) => String.fromCharCode(code)) });
    const hostile = fc.stringMatching(/^[",: ]*(DNS|URI|email|IP Address):[",: a]*$/);
    const name = fc.oneof(ascii, hostile).filter((text) => text !== "");
    await fc.assert(
      fc.asyncProperty(fc.array(name, { minLength: 1, maxLength: 3 }), name, async (names, uri) => {
        const certificate = await read({ names: [...names.map(dns), url(uri)] });
        expect(certificate).toMatchObject({ dns: names, uri: [uri], email: [], ip: [] });
      }),
    );
  });

  it("finds in real certificates the subject that is in them, however hostile", async () => {
    const part = fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom("a\nO=b", "a + O=b", "a,O=b", "\\", '"', " a "));
    await fc.assert(
      fc.asyncProperty(part, part, async (commonName, organization) => {
        const subject = [{ O: [{ utf8String: organization }] }, { CN: [{ utf8String: commonName }] }];
        const certificate = await read({ subject });
        expect(certificate).toMatchObject({ commonName: [commonName], organization: [organization] });
      }),
    );
  });
});

describe("resolveCertificateIdentity", () => {
  it.each<[string, CertificateIdentity, OddCertificate, string | undefined]>([
    ["a SPIFFE id", spiffe, { names: [url("spiffe://a.test/web"), dns("b.test")] }, "spiffe://a.test/web"],
    ["no SPIFFE id", spiffe, { names: [dns("b.test")] }, undefined],
    ["two SPIFFE ids", spiffe, { names: [url("spiffe://a.test/a"), url("spiffe://a.test/b")] }, undefined],
    ["a SPIFFE id and another URI", spiffe, { names: [url("spiffe://a.test/a"), url("https://a.test")] }, undefined],
    ["another trust domain", spiffe, { names: [url("spiffe://b.test/web")] }, undefined],
    ["another scheme", spiffe, { names: [url("https://a.test/web")] }, undefined],
    ["a SPIFFE id in a DNS name", spiffe, { names: [dns("x, URI:spiffe://a.test/web")] }, undefined],
    ["a SPIFFE id of an authority", spiffe, { names: [url("spiffe://a.test/web")], authority: true }, undefined],
    [
      "a SPIFFE id with a key that signs",
      spiffe,
      { names: [url("spiffe://a.test/web")], usages: KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign },
      undefined,
    ],
    [
      "a SPIFFE id with a key that signs lists",
      spiffe,
      { names: [url("spiffe://a.test/web")], usages: KeyUsageFlags.cRLSign },
      undefined,
    ],
    [
      "a SPIFFE id with a key that does not",
      spiffe,
      { names: [url("spiffe://a.test/web")], usages: KeyUsageFlags.digitalSignature },
      "spiffe://a.test/web",
    ],
    ["a DNS name", "dns", { names: [dns("Web.A.test")] }, "web.a.test"],
    ["two DNS names", "dns", { names: [dns("a.test"), dns("b.test")] }, undefined],
    ["a wildcard", "dns", { names: [dns("*.a.test")] }, undefined],
    ["a DNS name that is none", "dns", { names: [dns("a b")] }, undefined],
    ["no DNS name", "dns", { subject: [{ CN: ["a.test"] }] }, undefined],
    ["a subject", "subject", { subject: [{ O: ["Acme"] }, { CN: ["web"] }] }, "CN=web,O=Acme"],
    ["no subject", "subject", { names: [dns("a.test")] }, undefined],
    ["a function's word", ({ serial }) => `serial ${serial}`, {}, "serial F1"],
    ["nothing from a function", () => undefined, {}, undefined],
    ["an empty text from a function", () => "", {}, undefined],
    [
      "a function that throws",
      () => {
        throw new Error("secret");
      },
      {},
      undefined,
    ],
  ])("knows who has %s", async (_, option, certificate, identity) => {
    const finding = resolveCertificateIdentity(option)(await read(certificate));
    const refusal = { reason: expect.not.stringContaining("secret") };
    expect(finding).toEqual(identity === undefined ? refusal : { identity });
  });

  it.each([
    [undefined, /identity must be/],
    ["email", /identity must be/],
    [{ spiffe: {} }, /identity must be/],
    [{ spiffe: { trustDomains: [] } }, /trustDomains must name at least one/],
    [{ spiffe: { trustDomains: ["spiffe://a.test"] } }, /trustDomains must be names .*"spiffe:\/\/a\.test"/],
  ])("refuses the option %j", (option, message) => {
    expect(() => resolveCertificateIdentity(option as CertificateIdentity)).toThrow(message);
  });
});
