import { once } from "node:events";
import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { classifyFirstBytes, type FirstBytes, readFirstBytes } from "./first-bytes.ts";

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

describe("readFirstBytes", () => {
  it("law: tells the same however the bytes are cut into pieces, and gives all of them back", async () => {
    const text = fc.constantFrom(
      `${preface}and frames`,
      "GET / HTTP/1.1",
      "PRI * HTTP/1.1",
      "P",
      "PRI",
      "\u0016\u0003",
    );
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(text, sizes, async (all, cuts) => {
        const stream = new Readable({ read() {} });
        const known: FirstBytes[] = [];
        const stop = readFirstBytes(stream, (first) => known.push(first));
        let sent = 0;
        for (const size of [...cuts, all.length]) {
          const piece = all.slice(sent, sent + size);
          if (piece !== "") stream.push(piece);
          sent += piece.length;
          // Its own turn for each piece, so that it is read by itself.
          await new Promise(setImmediate);
        }
        const expected = classifyFirstBytes(Buffer.from(all));
        expect(known).toEqual(expected === undefined ? [] : [expected]);
        expect(stream.read()?.toString() ?? "").toBe(expected === undefined ? "" : all);
        stop();
        expect([stream.listenerCount("readable"), stream.listenerCount("end")]).toEqual([0, 0]);
      }),
    );
  });

  it("cuts a stream that ends while more bytes are needed", async () => {
    const stream = new Readable({ read() {} });
    readFirstBytes(stream, () => {});
    stream.push("PRI * ");
    stream.push(null);
    await once(stream, "close");
    expect(stream.destroyed).toBe(true);
  });
});
