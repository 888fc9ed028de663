import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { attributesOf, formatDistinguishedName, parseDistinguishedName } from "./peer-certificate-subject.ts";

describe("parseDistinguishedName", () => {
  it.each([
    ["nothing", "", "", [], []],
    ["two parts", "O=Acme\nCN=web", "CN=web,O=Acme", ["web"], ["Acme"]],
    ["a part of two attributes", "O=Acme\nOU=one + CN=web", "OU=one+CN=web,O=Acme", ["web"], ["Acme"]],
    ["several of one kind", "O=a\nO=b\nCN=c", "CN=c,O=b,O=a", ["c"], ["a", "b"]],
    ["what looks like another part", String.raw`CN=web\, O=Acme`, String.raw`CN=web\, O=Acme`, ["web, O=Acme"], []],
    ["an escaped line", String.raw`CN=web\0AO=Acme`, String.raw`CN=web\0aO=Acme`, ["web\nO=Acme"], []],
    ["what looks like another attribute", String.raw`CN=a \+ O=b`, String.raw`CN=a \+ O=b`, ["a + O=b"], []],
    ["an equals sign", "CN=a=b", "CN=a=b", ["a=b"], []],
    ["spaces at the ends", String.raw`CN=\ a\ `, String.raw`CN=\ a\ `, [" a "], []],
    ["letters beyond ASCII", "CN=Zoë", "CN=Zoë", ["Zoë"], []],
    ["bytes", String.raw`CN=Zo\C3\AB`, "CN=Zoë", ["Zoë"], []],
    ["a type by its number", "1.2.3=a\nCN=b", "CN=b,1.2.3=a", ["b"], []],
  ])("reads %s", (_, lines, formatted, commonName, organization) => {
    const name = parseDistinguishedName(lines, "lines");
    expect(name).toBeDefined();
    expect(formatDistinguishedName(name ?? [])).toBe(formatted);
    expect(attributesOf(name ?? [], "CN")).toEqual(commonName);
    expect(attributesOf(name ?? [], "O")).toEqual(organization);
    expect(parseDistinguishedName(formatted, "commas")).toEqual(name);
  });

  it.each(["web", "=web", "CN=a,web", "CN=a\\", String.raw`CN=\C3`, "C N=a", ",", "/C=US/CN=web,", "CN=a,"])(
    "finds %s malformed",
    (text) => {
      expect(parseDistinguishedName(text, "commas")).toBeUndefined();
    },
  );

  it.each(["\u3000", "\u00a0web\u2003", " web ", "\\ ", "\ufeff", "\t"])("keeps the white space in %j", (value) => {
    const name = [[{ type: "CN", value }]];
    expect(parseDistinguishedName(formatDistinguishedName(name), "commas")).toEqual(name);
  });

  it("reads back what it formats, whatever is in it", () => {
    const attribute = fc.record({ type: fc.constantFrom("CN", "O", "1.2.3"), value: fc.string({ unit: "binary" }) });
    fc.assert(
      fc.property(fc.array(fc.array(attribute, { minLength: 1, maxLength: 3 })), (name) => {
        fc.pre(name.every((part) => part.every(({ value }) => value.isWellFormed())));
        expect(parseDistinguishedName(formatDistinguishedName(name), "commas")).toEqual(name);
      }),
    );
  });
});
