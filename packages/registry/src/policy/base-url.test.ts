import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BaseUrl, readBaseUrl } from "./base-url.ts";
import { canonicalAddress } from "./ip-address.ts";
import { upstreamHttp } from "./upstream-http.ts";

function refusalOf(text: string): ConnectError | undefined {
  try {
    readBaseUrl("metadata[base_url]", text);
    return undefined;
  } catch (error) {
    return ConnectError.from(error);
  }
}

describe("readBaseUrl", () => {
  const plain = { secure: false, literal: false, port: 80, basePath: "" };
  it.each<[text: string, read: Partial<BaseUrl>]>([
    ["http://logger:8081", { ...plain, host: "logger", port: 8081, authority: "logger:8081" }],
    ["http://logger", { ...plain, host: "logger", authority: "logger" }],
    ["http://logger:80/", { ...plain, host: "logger", authority: "logger" }],
    [
      "HTTPS://Logger.Example.ORG.",
      { secure: true, port: 443, host: "logger.example.org", authority: "logger.example.org." },
    ],
    ["https://a:443", { secure: true, authority: "a" }],
    ["https://a:80", { secure: true, authority: "a:80" }],
    ["http://my_service-1:1/a/b%20c/", { host: "my_service-1", basePath: "/a/b%20c" }],
    ["http://10.0.0.1:8081", { host: "10.0.0.1", literal: true, authority: "10.0.0.1:8081" }],
    ["http://[::1]:1", { host: "::1", literal: true, authority: "[::1]:1" }],
    ["http://[0:0:0:0:0:0:0:1]:1", { host: "::1", literal: true }],
    ["http://[::ffff:127.0.0.1]:1", { host: "127.0.0.1", literal: true }],
    ["http://[::ffff:7f00:1]:1", { host: "127.0.0.1", literal: true }],
    ["http://xn--bcher-kva.example", { host: "xn--bcher-kva.example" }],
    ["http://1.example", { host: "1.example", literal: false }],
  ])("reads %s", (text, read) => {
    expect(readBaseUrl("f", text)).toMatchObject(read);
  });

  it.each<[text: string, rule: RegExp]>([
    ["", /must be http/],
    ["logger:8081", /must be http/],
    ["ftp://logger", /must be http/],
    ["unix:/run/p.sock", /must be http/],
    ["http:/logger", /must be http/],
    ["http:logger", /must be http/],
    ["http:\\\\logger", /must be http/],
    ["http://", /must be http/],
    ["http://:80", /must be http/],
    [" http://logger", /must be http/],
    ["http://logger ", /must be http/],
    ["http://log\tger", /must be http/],
    ["http://logger\n.evil", /must be http/],
    ["http://a%2eb", /must be http/],
    ["http://bücher", /must be http/],
    ["http://a:b", /must be http/],
    ["http://a:123456", /must be http/],
    ["http://a:0", /port from 1/],
    ["http://a:65536", /port from 1/],
    ["http://user@logger", /user or password/],
    ["http://user:secret@logger:80", /user or password/],
    ["http://logger\\@evil", /user or password/],
    ["http://logger?", /query or fragment/],
    ["http://logger/?a=b", /query or fragment/],
    ["http://logger#x", /query or fragment/],
    ["http://user:secret@logger/#", /query or fragment/],
    ["http://a..b", /must name a host/],
    ["http://.a", /must name a host/],
    ["http://-a", /must name a host/],
    ["http://a-.b", /must name a host/],
    [`http://${"a".repeat(64)}`, /must name a host/],
    [`http://${"a.".repeat(127)}a`, /must name a host/],
    ["http://127.1", /must name a host/],
    ["http://2130706433", /must name a host/],
    ["http://0x7f000001", /must name a host/],
    ["http://0x7f.0.0.1", /must name a host/],
    ["http://0177.0.0.1", /must name a host/],
    ["http://a.0x", /must name a host/],
    ["http://256.0.0.1", /must name a host/],
    ["http://[1.2.3.4]", /must name a host/],
    ["http://[::1", /must be http/],
    ["http://[fe80::1%25eth0]", /must be http/],
    ["http://[:::1]", /must name a host/],
    ["http://0.0.0.0:80", /every address/],
    ["http://[::]:80", /every address/],
    ["http://[::ffff:0.0.0.0]:80", /every address/],
    ["http://0.1.2.3", /every address/],
    ["http://a/../b", /segment/],
    ["http://a/%2e%2e/b", /encoded/],
    ["http://a/b%2fc", /encoded/],
    ["http://a//b", /empty segment/],
    ["http://a//", /empty segment/],
    ["http://a/b\\c", /ASCII/],
    ["http://a/b\nc", /ASCII/],
    [`http://a/${"b".repeat(2048)}`, /at most 2048 bytes/],
    ["http://a\0", /NUL/],
  ])("refuses %j", (text, rule) => {
    const refusal = refusalOf(text);
    expect(refusal?.code).toBe(Code.InvalidArgument);
    expect(refusal?.rawMessage).toMatch(/^metadata\[base_url\] /);
    expect(refusal?.rawMessage).toMatch(rule);
    expect(refusal?.rawMessage).not.toContain("secret");
  });

  it.each([
    "/connectplugin.v1",
    "/a/connectplugin.v1.X",
    "/CONNECTPLUGIN.v1",
    "/%63onnectplugin.v1",
    "/%2563onnectplugin.v1",
  ])("refuses the path %s", (path) => {
    expect(refusalOf(`http://a${path}`)?.code).toBe(Code.PermissionDenied);
  });

  it("reads the same place as Node's own parser, or nothing at all", () => {
    const part = fc.oneof(
      fc.constantFrom(
        "http",
        "https",
        "://",
        ":",
        "/",
        "@",
        "[",
        "]",
        "::1",
        "127.0.0.1",
        ".",
        "%2e",
        "\\",
        "#",
        "?",
        "0x7f",
      ),
      fc.stringMatching(/^[a-z0-9.-]{1,6}$/),
      fc.string({ maxLength: 4 }),
    );
    const text = fc.array(part, { maxLength: 10 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(
        fc.oneof(
          text,
          text.map((rest) => `http://${rest}`),
          fc.webUrl(),
        ),
        (some) => {
          const read = refusalOf(some) === undefined ? readBaseUrl("f", some) : undefined;
          if (read === undefined) return;
          const url = new URL(some);
          const hostname = url.hostname.replace(/^\[|\]$|\.$/g, "");
          expect(read.host).toBe(canonicalAddress(hostname) ?? hostname);
          expect(read.port).toBe(url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port));
          expect(new URL(`http://a${read.basePath}/`).pathname).toBe(url.pathname.replace(/\/?$/, "/"));
          expect(url.username + url.password + url.search + url.hash).toBe("");
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe("canonicalAddress", () => {
  it.each([
    ["127.0.0.1", "127.0.0.1"],
    ["::FFFF:127.0.0.1", "127.0.0.1"],
    ["::ffff:a00:1", "10.0.0.1"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["FE80::1%eth0", "fe80::1"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["127.1", undefined],
    ["010.0.0.1", undefined],
    ["a", undefined],
    ["", undefined],
  ])("%s -> %s", (text, address) => {
    expect(canonicalAddress(text)).toBe(address);
  });
});

describe("upstreamHttp", () => {
  it.each([
    [undefined, "auto"],
    ["", "auto"],
    ["1.1", "1.1"],
    ["2", "2"],
    ["1.1,2", "2"],
    ["2, 1.1", "2"],
    ["3", "auto"],
    ["h2", "auto"],
    ["1.1,3", "1.1"],
  ])("%s -> %s", (versions, http) => {
    expect(upstreamHttp(versions === undefined ? {} : { http_versions: versions })).toBe(http);
  });
});
