import { X509Certificate } from "node:crypto";
import { createCertificateAuthority } from "@cpg/auth/testing";
import { Extension, IssuerAlternativeNameExtension } from "@peculiar/x509";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readRevocationLists, splitRevocationLists } from "../src/mtls-revocation-list.ts";
import { createRevocations } from "../src/mtls-revocations.ts";
import { readX509Fields } from "../src/mtls-x509-fields.ts";
import { oddRevocationList } from "./support/odd-certificate.ts";

const authority = await createCertificateAuthority();
const other = await createCertificateAuthority({ commonName: "other" });
const [good, bad, worse] = await Promise.all(
  ["good", "bad", "worse"].map((commonName) => authority.issue({ commonName })),
);
const [crl, empty, ofOther] = await Promise.all([
  authority.revoke([bad, worse].filter((issued) => issued !== undefined)),
  authority.revoke([]),
  other.revoke([]),
]);
const certificates = [good, bad, worse].map((issued) => new X509Certificate(issued?.cert ?? ""));
const bytesOf = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64");
const pemOf = (bytes: Uint8Array) =>
  `-----BEGIN X509 CRL-----\n${Buffer.from(bytes).toString("base64")}\n-----END X509 CRL-----\n`;

function failureOf(act: () => unknown): unknown {
  try {
    act();
    return undefined;
  } catch (error) {
    return error instanceof TypeError ? "TypeError" : error;
  }
}

describe("createRevocations", () => {
  it.each([
    ["a list", crl, [false, true, true]],
    ["a list in bytes", Buffer.from(crl), [false, true, true]],
    ["several lists", [ofOther, crl], [false, true, true]],
    ["several lists in one PEM", `${ofOther}\n${crl}`, [false, true, true]],
    ["two lists of one authority", [crl, empty], [false, true, true]],
    ["an empty list", empty, [false, false, false]],
    ["none", undefined, [false, false, false]],
  ])("knows what is revoked by %s", (_, lists, expected) => {
    const revocations = createRevocations();
    revocations.use(lists);
    expect(certificates.map((certificate) => revocations.include(certificate))).toEqual(expected);
  });

  it("knows numbers of one authority from those of another", async () => {
    const serialNumber = readX509Fields(certificates[1]?.raw ?? Buffer.alloc(0)).serial;
    const revocations = createRevocations();
    revocations.use(await oddRevocationList([], [{ serialNumber }]));
    expect(revocations.include(certificates[1] as X509Certificate)).toBe(false);
    revocations.use(await oddRevocationList([], [{ serialNumber }], [{ CN: ["  TEST-ca "] }]));
    expect(revocations.include(certificates[1] as X509Certificate)).toBe(true);
  });

  it("replaces the lists, and keeps them when new ones cannot be read", () => {
    const revocations = createRevocations();
    const revoked = () => revocations.include(certificates[1] as X509Certificate);
    revocations.use(crl);
    const { epoch } = revocations;
    expect(() => revocations.use([empty, "nonsense"])).toThrow("crl must hold revocation lists in PEM");
    expect([revocations.epoch, revoked()]).toEqual([epoch, true]);
    revocations.use(empty);
    expect([revocations.epoch, revoked()]).toEqual([epoch + 1, false]);
  });
});

describe("readRevocationLists", () => {
  it("refuses a list with a critical extension that it does not know, such as of changes only", async () => {
    const changesOnly = new Extension("2.5.29.27", true, Buffer.from("020101", "hex"));
    await expect(oddRevocationList([changesOnly]).then(readRevocationLists)).rejects.toThrow(
      "crl has the critical extension 551d1b (hexadecimal), which is not supported",
    );
    const harmless = new IssuerAlternativeNameExtension([{ type: "dns", value: "a.test" }], false);
    expect(readRevocationLists(await oddRevocationList([harmless]))).toHaveLength(1);
  });

  it("finds bytes malformed, or reads them; it never hangs or fails otherwise", () => {
    const der = bytesOf(crl);
    const change = fc.record({ at: fc.nat(der.length - 1), byte: fc.integer({ min: 0, max: 255 }) });
    const damaged = fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) => {
      const bytes = Buffer.from(der);
      for (const { at, byte } of changes) bytes[at] = byte;
      return bytes;
    });
    const cut = fc.nat(der.length - 1).map((length) => der.subarray(0, length));
    fc.assert(
      fc.property(fc.oneof(damaged, cut, fc.uint8Array()), (bytes) => {
        expect(failureOf(() => readRevocationLists(pemOf(bytes)))).toBeOneOf([undefined, "TypeError"]);
      }),
      { numRuns: 2_000 },
    );
  });

  it("finds every part of a list malformed", () => {
    const der = bytesOf(crl);
    for (let length = 0; length < der.length; length++) {
      expect(() => readRevocationLists(pemOf(der.subarray(0, length)))).toThrow(TypeError);
    }
  });
});

describe("splitRevocationLists", () => {
  it("gives OpenSSL, which reads the first of each PEM, each in its own", () => {
    const split = splitRevocationLists({ crl: [`${crl}${empty}`, Buffer.from(ofOther)] });
    expect([split.crl].flat()).toEqual([crl.trim(), empty.trim(), Buffer.from(ofOther)]);
    expect(splitRevocationLists({ cert: "a" })).toEqual({ cert: "a" });
  });
});
