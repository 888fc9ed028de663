import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseSubjectAltName, type SubjectAltNames } from "./subject-alt-name.ts";

const names = (some: Partial<SubjectAltNames>): SubjectAltNames => ({ dns: [], uri: [], email: [], ip: [], ...some });

/** As Node writes a name: quoted when it holds what could be taken for something else. */
function written(name: string): string {
  if (!/["'\\,\p{Cc}]/u.test(name)) return name;
  return JSON.stringify(name)
    .replaceAll(",", "\\u002c")
    .replace(/[\u007f-\u009f]/g, (control) => `\\u00${control.charCodeAt(0).toString(16)}`);
}

describe("parseSubjectAltName", () => {
  it.each<[string, string | undefined, SubjectAltNames | undefined]>([
    ["nothing", undefined, names({})],
    ["an empty text", "", names({})],
    [
      "one of each kind",
      "DNS:a.test, URI:spiffe://a/b, email:a@b, IP Address:::1, DNS:b.test",
      names({ dns: ["a.test", "b.test"], uri: ["spiffe://a/b"], email: ["a@b"], ip: ["::1"] }),
    ],
    ["a name with another inside", String.raw`DNS:"a.test\u002c DNS:b.test"`, names({ dns: ["a.test, DNS:b.test"] })],
    ["a name with a quote", String.raw`URI:"a\"b"`, names({ uri: ['a"b'] })],
    [
      "kinds that it does not know",
      "othername:<unsupported>, Registered ID:1.2.3, DNS:a.test",
      names({ dns: ["a.test"] }),
    ],
    ["a kind that every object has", "constructor:a, __proto__:b", names({})],
    ["no kind", "a.test", undefined],
    ["an empty kind", ":a.test", undefined],
    ["a quote that is not closed", 'DNS:"a.test', undefined],
    ["more after the quote", 'DNS:"a"b', undefined],
    ["a comma that is not escaped", "DNS:a,b", undefined],
    ["a quote within", 'DNS:a"b', undefined],
    ["an address that is none", "IP Address:<invalid length=5>", undefined],
    ["no JSON in quotes", String.raw`DNS:"\x41"`, undefined],
  ])("reads %s", (_, text, expected) => {
    expect(parseSubjectAltName(text)).toEqual(expected);
  });

  it("finds the names that were written, whatever is in them, each of its kind", () => {
    const kind = fc.constantFrom("dns" as const, "uri" as const, "email" as const);
    const name = fc.oneof(fc.string(), fc.stringMatching(/^[",: \\]*(DNS|URI|email|IP Address):[",: \\]*$/));
    const labels = { dns: "DNS", uri: "URI", email: "email" };
    fc.assert(
      fc.property(fc.array(fc.tuple(kind, name), { minLength: 1 }), (entries) => {
        const text = entries.map(([label, value]) => `${labels[label]}:${written(value)}`).join(", ");
        const of = (wanted: string) => entries.filter(([label]) => label === wanted).map(([, value]) => value);
        expect(parseSubjectAltName(text)).toEqual(names({ dns: of("dns"), uri: of("uri"), email: of("email") }));
      }),
    );
  });

  it("never throws, and never finds a name with a comma outside of quotes", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."DNS:URI, \"\\u002c'a\n") }), (text) => {
        const found = parseSubjectAltName(text);
        const all = found === undefined ? [] : Object.values(found).flat();
        expect(all.filter((name) => name.includes(",") && !text.includes('"'))).toEqual([]);
      }),
    );
  });
});
