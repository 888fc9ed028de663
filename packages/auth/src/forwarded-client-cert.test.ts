import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ForwardedClientCert, parseForwardedClientCert } from "./forwarded-client-cert.ts";

const hash = "468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688";
const element = (some: Partial<ForwardedClientCert>): ForwardedClientCert => ({
  by: [],
  uri: [],
  dns: [],
  hash: undefined,
  subject: undefined,
  cert: undefined,
  ...some,
});

describe("parseForwardedClientCert", () => {
  it.each<[string, string, Partial<ForwardedClientCert>]>([
    [
      "what Envoy sends",
      `By=http://frontend.lyft.com;Hash=${hash};Subject="/C=US/CN=Test Client";URI=http://testclient.lyft.com`,
      {
        by: ["http://frontend.lyft.com"],
        hash,
        subject: "/C=US/CN=Test Client",
        uri: ["http://testclient.lyft.com"],
      },
    ],
    [
      "several names",
      `By=a;By=b;Hash=${hash};URI=c;DNS=lyft.com;DNS=www.lyft.com`,
      { by: ["a", "b"], hash, uri: ["c"], dns: ["lyft.com", "www.lyft.com"] },
    ],
    ["the element of the nearest proxy", `Hash=${hash};URI=first,URI=second,URI=last`, { uri: ["last"] }],
    ["keys in any case", `URI=a;uri=b;hAsH=${hash.toUpperCase()}`, { uri: ["a", "b"], hash }],
    ["separators in quotes", 'URI="a,URI=b;URI=c";DNS=d', { uri: ["a,URI=b;URI=c"], dns: ["d"] }],
    [
      "escapes as they are",
      String.raw`Subject="CN=a\",O=b\\";URI=c`,
      { subject: String.raw`CN=a\",O=b\\`, uri: ["c"] },
    ],
    [
      "a certificate",
      'Cert="-----BEGIN%20CERTIFICATE-----%0Aa%2Bb%0A"',
      { cert: "-----BEGIN CERTIFICATE-----\na+b\n" },
    ],
    ["empty values as none", 'By=;URI=;Subject="";Hash=', {}],
    ["keys that it does not know", "Chain=a;New=b;URI=c", { uri: ["c"] }],
    ["spaces around elements", "URI=a , URI=b", { uri: ["b"] }],
    ["a semicolon at the end", "URI=a;", { uri: ["a"] }],
  ])("reads %s", (_, header, expected) => {
    expect(parseForwardedClientCert(header)).toEqual(element(expected));
  });

  it.each([
    ["nothing", ""],
    ["no pairs", "hello"],
    ["a key without a value", "URI"],
    ["an empty element", "URI=a,,URI=b"],
    ["a comma at the end", "URI=a,"],
    ["an empty pair", "URI=a;;DNS=b"],
    ["a quote that is not closed", 'URI="a'],
    ["a quote that an escape keeps open", String.raw`Subject="CN=a\";URI=b`],
    ["more after a quote", 'URI="a"b'],
    ["a quote within", 'URI=a"b'],
    ["two fingerprints", `Hash=${hash};Hash=${hash}`],
    ["two subjects", "Subject=a;Subject=b"],
    ["two subjects, in other letters", "Subject=a;SUBJECT=b"],
    ["two certificates", "Cert=a;Cert=b"],
    ["a fingerprint that is none", "Hash=abc"],
    ["a certificate that is not encoded right", "Cert=%zz"],
    ["a malformed element before the last", "garbage,URI=a"],
    ["too many elements", Array.from({ length: 33 }, () => "URI=a").join()],
    ["too many pairs", Array.from({ length: 129 }, () => "URI=a").join(";")],
    ["too much", `URI=${"a".repeat(64 * 1024)}`],
  ])("refuses %s", (_, header) => {
    expect(parseForwardedClientCert(header)).toBeUndefined();
  });

  it("finds in quotes what was put there, and nothing more", () => {
    const quoted = (text: string) => `"${text.replace(/["\\]/g, "\\$&")}"`;
    const text = fc.string({ unit: fc.constantFrom(...'ab",;=\\ URI') }).map((value) => `x${value}x`);
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 5 }), text, (uris, subject) => {
        const header = `URI=first,Subject=${quoted(subject)};${uris.map((uri) => `URI=${quoted(uri)}`).join(";")}`;
        expect(parseForwardedClientCert(header)).toEqual(
          element({
            uri: uris.map((uri) => uri.replace(/["\\]/g, "\\$&")),
            subject: subject.replace(/["\\]/g, "\\$&"),
          }),
        );
      }),
    );
  });

  it("takes any text without throwing, and in the time that its length needs", () => {
    const unit = fc.constantFrom(...'aURI=",;\\ %é\t');
    fc.assert(fc.property(fc.string({ unit }), (header) => void parseForwardedClientCert(header)));
    // With a pattern that tries again and again each of these takes minutes.
    for (const piece of ["a", " ", "a=", '"', "\\", "=;", "a=b;", "a=b,", '="\\']) {
      for (const start of ["", "URI=", 'URI="']) parseForwardedClientCert(`${start}${piece.repeat(20_000)}"`);
    }
  });
});
it("a header of spaces is refused in a time that grows with its length only", () => {
  // With a step back for each space this takes longer than a test may.
  expect(parseForwardedClientCert(`Hash=${" ".repeat(65_000)}"`)).toBeUndefined();
});

it("spaces around values and separators do not count", () => {
  expect(parseForwardedClientCert("By = x")).toBeUndefined();
  expect(
    parseForwardedClientCert(' URI=spiffe://a.test/b ; Subject="CN=x" , URI=spiffe://a.test/c ;Subject="CN=y"  '),
  ).toMatchObject({
    uri: ["spiffe://a.test/c"],
    subject: "CN=y",
  });
});
