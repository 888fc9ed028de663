import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isTrustDomain, parseSpiffeId } from "./spiffe-id.ts";

const domain = "example.org";

describe("parseSpiffeId", () => {
  it.each([
    [`spiffe://${domain}/web`, domain, "/web"],
    [`spiffe://${domain}/ns/prod/sa/Web-1_a.b`, domain, "/ns/prod/sa/Web-1_a.b"],
    ["spiffe://k8s_1-a.test/...", "k8s_1-a.test", "/..."],
    [`spiffe://${domain}/${"a".repeat(2048 - 21)}`, domain, `/${"a".repeat(2048 - 21)}`],
  ])("reads %s", (text, trustDomain, path) => {
    expect(parseSpiffeId(text)).toEqual({ trustDomain, path });
  });

  it.each([
    ["nothing", ""],
    ["another scheme", `https://${domain}/web`],
    ["a scheme in capitals", `SPIFFE://${domain}/web`],
    ["no slashes", `spiffe:${domain}/web`],
    ["no trust domain", "spiffe:///web"],
    ["a trust domain in capitals", "spiffe://Example.org/web"],
    ["a trust domain that is too long", `spiffe://${"a".repeat(256)}/web`],
    ["a port", `spiffe://${domain}:443/web`],
    ["a user", `spiffe://user@${domain}/web`],
    ["no path", `spiffe://${domain}`],
    ["an empty path", `spiffe://${domain}/`],
    ["a slash at the end", `spiffe://${domain}/web/`],
    ["an empty segment", `spiffe://${domain}/a//b`],
    ["a dot", `spiffe://${domain}/a/./b`],
    ["two dots", `spiffe://${domain}/a/../b`],
    ["two dots at the end", `spiffe://${domain}/a/..`],
    ["a query", `spiffe://${domain}/web?a`],
    ["a fragment", `spiffe://${domain}/web#a`],
    ["percent encoding", `spiffe://${domain}/w%65b`],
    ["a letter beyond ASCII", `spiffe://${domain}/wéb`],
    ["a line before", `\nspiffe://${domain}/web`],
    ["a line after", `spiffe://${domain}/web\n`],
    ["2049 bytes", `spiffe://${domain}/${"a".repeat(2049 - 21)}`],
  ])("refuses %s", (_, text) => {
    expect(parseSpiffeId(text)).toBeUndefined();
  });

  it("reads nothing that it does not give back to the letter", () => {
    const characters = fc.constantFrom(..."aA0._-/:%?#@ \n");
    fc.assert(
      fc.property(fc.string({ unit: characters }), (rest) => {
        const text = `spiffe://${rest}`;
        const id = parseSpiffeId(text) ?? { trustDomain: rest, path: "" };
        expect(`spiffe://${id.trustDomain}${id.path}`).toBe(text);
      }),
    );
  });
});

describe("isTrustDomain", () => {
  it.each([
    [domain, true],
    ["a_b-1", true],
    ["", false],
    ["A", false],
    ["a/b", false],
    ["spiffe://a", false],
    ["*", false],
  ])("%j: %s", (name, expected) => {
    expect(isTrustDomain(name)).toBe(expected);
  });
});
