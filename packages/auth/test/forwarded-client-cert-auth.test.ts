import { X509Certificate } from "node:crypto";
import { type AuthEvent, createForwardedClientCertAuth, type ForwardedClientCertAuthOptions } from "@cpg/auth";
import { createCertificateAuthority } from "@cpg/auth/testing";
import type { Peer } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { admitted, callBoth, guardedService, refused } from "./support/guarded-service.ts";

const clockNow = new FakeClock().now();
const hour = (hours: number) => new Date(clockNow + hours * 60 * 60 * 1000);
const authority = await createCertificateAuthority();
const names = [{ type: "url", value: "spiffe://a.test/web" }] as const;
const [valid, expired, early] = await Promise.all([
  authority.issue({ commonName: "web", names, notBefore: hour(-2), notAfter: hour(2) }),
  authority.issue({ commonName: "web", names, notBefore: hour(-2), notAfter: hour(-1) }),
  authority.issue({ commonName: "web", names, notBefore: hour(1), notAfter: hour(2) }),
]);
const encoded = ({ cert }: { cert: string }) => `Cert="${encodeURIComponent(cert)}"`;
const hashOf = ({ cert }: { cert: string }) =>
  new X509Certificate(cert).fingerprint256.replaceAll(":", "").toLowerCase();

const tcp = (address: string): Peer => ({ network: "tcp", address, port: 1, tls: undefined });
const unix: Peer = { network: "unix", address: undefined, port: undefined, tls: undefined };
const proxy = tcp("10.0.0.5");
const uri = "URI=spiffe://a.test/web";

function setUp(peer: Peer | undefined, options: Partial<ForwardedClientCertAuthOptions> = {}) {
  const events: AuthEvent[] = [];
  const auth = createForwardedClientCertAuth({
    identity: { spiffe: { trustDomains: ["a.test"] } },
    trustedProxies: ["10.0.0.0/8", "192.0.2.7", "fd00::/8"],
    clock: new FakeClock(),
    onEvent: (event) => events.push(event),
    ...options,
  });
  const service = guardedService({ server: [auth.serverInterceptor()], peer });
  const call = (header?: string) =>
    callBoth(service, header === undefined ? {} : { "x-forwarded-client-cert": header });
  return { call, events, seen: service.seen };
}

describe("createForwardedClientCertAuth", () => {
  it.each([
    ["a network", proxy],
    ["an address", tcp("192.0.2.7")],
    ["a network of IPv6", tcp("fd12::1")],
    ["an address with its zone", tcp("fd12::1%eth0")],
  ])("believes a proxy in %s", async (_, peer) => {
    const { call, seen } = setUp(peer);
    expect(await call(`By=spiffe://a.test/proxy;Hash=${"ab".repeat(32)};${uri}`)).toEqual(admitted);
    expect(seen[0]).toMatchObject({
      identity: "spiffe://a.test/web",
      provider: "forwarded-client-cert",
      claims: { fingerprint: "ab".repeat(32) },
    });
  });

  it.each([
    ["elsewhere", tcp("11.0.0.5")],
    ["next to one", tcp("192.0.2.8")],
    ["elsewhere in IPv6", tcp("fe00::1")],
    ["on a Unix socket", unix],
    ["in the same process", { ...unix, network: "memory" } as const],
    ["without an address", { ...unix, network: "tcp" } as const],
    ["with an address that is none", tcp("10.0.0.5.6")],
    ["of whom nothing is known", undefined],
  ])("refuses and reports the header from a peer %s", async (_, peer) => {
    const { call, events } = setUp(peer);
    expect(await call(uri)).toEqual(refused);
    expect(events[0]).toMatchObject({
      kind: "refused",
      reason: "x-forwarded-client-cert from a peer that is no trusted proxy",
    });
    expect(await call()).toEqual(refused);
    expect(events.at(-1)).toMatchObject({ kind: "absent" });
  });

  it("believes whoever calls through a Unix socket if told so, and then nobody else", async () => {
    const options = { trustedProxies: [], trustUnixSockets: true };
    expect(await setUp(unix, options).call(uri)).toEqual(admitted);
    expect(await setUp(proxy, options).call(uri)).toEqual(refused);
  });

  it.each([
    ["the element of the nearest proxy", `URI=spiffe://evil.test/web,${uri}`, admitted],
    ["it alone", `${uri},URI=spiffe://evil.test/web`, refused],
    ["a malformed header", "URI", refused],
    ["an empty header", "", refused],
    ["no URI", `Hash=${"ab".repeat(32)}`, refused],
    ["two URIs", `${uri};${uri}`, refused],
    ["a subject of old proxies", `Subject="/C=US/CN=web";${uri}`, admitted],
    ["a certificate", encoded(valid), admitted],
    ["a certificate and its hash", `Hash=${hashOf(valid)};${encoded(valid)}`, admitted],
    ["a certificate and another hash", `Hash=${"ab".repeat(32)};${encoded(valid)}`, refused],
    ["what the certificate says, not what stands beside it", `URI=spiffe://evil.test/web;${encoded(valid)}`, admitted],
    ["an expired certificate", encoded(expired), refused],
    ["a certificate for later", encoded(early), refused],
    ["no certificate", `Cert="hello";${uri}`, refused],
  ])("judges by %s", async (_, header, expected) => {
    expect(await setUp(proxy).call(header)).toEqual(expected);
  });

  it("refuses a certificate that is revoked", async () => {
    const revoked = ({ subject }: X509Certificate) => subject === "CN=web";
    expect(await setUp(proxy, { revoked }).call(encoded(valid))).toEqual(refused);
  });

  it.each([
    ["DNS=Web.test", "dns", "web.test"],
    ['Subject="CN=web,O=Acme\\, Inc"', "subject", String.raw`CN=web,O=Acme\, Inc`],
    ['Subject="CN=Zo\\C3\\AB"', "subject", "CN=Zoë"],
  ] as const)("tells from %s who it is, by %s", async (header, identity, expected) => {
    const { call, seen } = setUp(proxy, { identity });
    expect(await call(header)).toEqual(admitted);
    expect(seen[0]?.identity).toBe(expected);
  });

  it.each([
    [["10.0.0.0/33"], /trustedProxies must be/],
    [["fd00::/129"], /trustedProxies must be/],
    [["10.0.0.0/8/8"], /trustedProxies must be/],
    [["10.0.0.0/"], /trustedProxies must be/],
    [["10.0.0"], /trustedProxies must be/],
    [["proxy.test"], /"proxy\.test"/],
    [["fe80::1%eth0"], /trustedProxies must be/],
    [[], /trustedProxies must name at least one/],
    ["10.0.0.0/8", /trustedProxies must be a list/],
  ])("refuses the proxies %j", (trustedProxies, message) => {
    expect(() => setUp(proxy, { trustedProxies: trustedProxies as string[] })).toThrow(message);
  });
});
