import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { byEach, byIdentity, byMethod, byPeer, byTrustedHeader, type LimitedCall } from "./caller-key.ts";
import type { Peer } from "./peer.ts";

const peer = (address: string | undefined, network: Peer["network"] = "tcp"): Peer => ({
  network,
  address,
  port: 1,
  tls: undefined,
});

const call = (facts: Partial<LimitedCall> = {}): LimitedCall => ({
  identity: undefined,
  peer: undefined,
  method: "pkg.Service/Get",
  header: () => null,
  ...facts,
});

describe("byPeer", () => {
  it.each([
    { title: "an IPv4 address", from: peer("10.1.2.3"), key: "peer 10.1.2.3" },
    { title: "an IPv4 address on a socket of both", from: peer("::ffff:10.1.2.3"), key: "peer 10.1.2.3" },
    { title: "the same, in capitals", from: peer("::FFFF:10.1.2.3"), key: "peer 10.1.2.3" },
    { title: "IPv6: the first 64 bits", from: peer("2001:db8:1:2:3:4:5:6"), key: "peer 2001:db8:1:2::/64" },
    { title: "the same, shortened", from: peer("2001:db8:1:2::1"), key: "peer 2001:db8:1:2::/64" },
    { title: "leading zeros and a zone", from: peer("2001:0db8::1%eth0"), key: "peer 2001:db8:0:0::/64" },
    { title: "loopback", from: peer("::1"), key: "peer 0:0:0:0::/64" },
    { title: "nothing but zeros", from: peer("::"), key: "peer 0:0:0:0::/64" },
    { title: "zeros in the middle", from: peer("1::2:3:4:5:6"), key: "peer 1:0:0:2::/64" },
    { title: "a dotted quad at the end", from: peer("64:ff9b::10.1.2.3"), key: "peer 64:ff9b:0:0::/64" },
    { title: "a dotted quad, few zeros", from: peer("1:2::3:4:5:10.1.2.3"), key: "peer 1:2:0:3::/64" },
    { title: "a zone with a dot", from: peer("1::2:3:4:5%eth0.1"), key: "peer 1:0:0:0::/64" },
    { title: "a mapping in the middle", from: peer("1::ffff:10.1.2.3"), key: "peer 1:0:0:0::/64" },
    { title: "zeros at the end", from: peer("1:2:3:4::"), key: "peer 1:2:3:4::/64" },
    { title: "an address on no TCP network", from: peer("10.1.2.3", "memory"), key: "peer memory" },
    { title: "a Unix socket", from: peer(undefined, "unix"), key: "peer unix" },
    { title: "memory", from: peer(undefined, "memory"), key: "peer memory" },
    { title: "no address", from: peer(undefined), key: "peer tcp" },
    { title: "nothing", from: undefined, key: "peer unknown" },
  ])("$title: $key", ({ from, key }) => {
    expect(byPeer(call({ peer: from }))).toBe(key);
  });
});

describe("byIdentity", () => {
  it("is the identity and what proved it, or else the peer", () => {
    const identity = { id: "10.1.2.3", source: "jwt" };
    expect(byIdentity(call({ identity, peer: peer("10.1.2.3") }))).toBe("identity jwt 10.1.2.3");
    expect(byIdentity(call({ peer: peer("10.1.2.3") }))).toBe("peer 10.1.2.3");
  });
});

describe("byMethod", () => {
  it("is the full name", () => {
    expect(byMethod(call())).toBe("method pkg.Service/Get");
  });
});

describe("byTrustedHeader", () => {
  it("is the value, and another key without one", () => {
    const key = byTrustedHeader("X-Tenant");
    const header = (name: string) => (name === "x-tenant" ? "acme" : null);
    expect([key(call({ header })), key(call())]).toEqual(["x-tenant acme", "no x-tenant"]);
  });

  it.each(["", "a b", "a\n", "ä", undefined])("refuses the name %j", (name) => {
    expect(() => byTrustedHeader(name as string)).toThrow(
      new TypeError(`name must be the name of a header, got ${name}`),
    );
  });
});

describe("byEach", () => {
  it("refuses what is no function", () => {
    const keys = [byPeer, "method"] as never[];
    expect(() => byEach(...keys)).toThrow(new TypeError("keys must be functions, got method"));
  });

  it("law: keys are the same only if all parts are", () => {
    const anyParts = fc.array(fc.string(), { maxLength: 4 });
    const join = (parts: readonly string[]) => byEach(...parts.map((part) => () => part))(call());
    fc.assert(
      fc.property(anyParts, anyParts, (a, b) => {
        expect(join(a) === join(b)).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
      { numRuns: 1_000 },
    );
  });
});
