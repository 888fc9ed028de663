import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { classifyFirstBytes } from "./first-bytes.ts";

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

describe("classifyFirstBytes", () => {
  it.each([
    ["", undefined],
    ["P", undefined],
    ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r", undefined],
    ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2"],
    ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand frames", "http2"],
    ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r?", "http1"],
    ["PO", "http1"],
    ["G", "http1"],
    ["\0", "http1"],
    ["\u0016", "tls"],
    ["\u0016\u0003\u0001", "tls"],
  ])("takes %j for %s", (text, expected) => {
    expect(classifyFirstBytes(Buffer.from(text))).toBe(expected);
  });

  it("law: once it is sure, more bytes change nothing", () => {
    const beginning = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc
        .tuple(fc.nat(preface.length), fc.uint8Array({ maxLength: 30 }))
        .map(([length, rest]) => Buffer.concat([preface.subarray(0, length), rest])),
    );
    fc.assert(
      fc.property(beginning, (bytes) => {
        const all = Array.from({ length: bytes.length + 1 }, (_, end) => classifyFirstBytes(bytes.subarray(0, end)));
        const sure = all.findIndex((first) => first !== undefined);
        expect(new Set(all.slice(sure < 0 ? all.length : sure)).size).toBeLessThanOrEqual(1);
        expect(all.slice(24).every((first) => first !== undefined)).toBe(true);
      }),
    );
  });
});
