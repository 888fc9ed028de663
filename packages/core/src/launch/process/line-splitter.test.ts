import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLineSplitter } from "./line-splitter.ts";

function split(chunks: readonly Buffer[], maxLineBytes = 1024): [line: string, truncatedBytes: number][] {
  const lines: [string, number][] = [];
  const splitter = createLineSplitter(maxLineBytes, (line, truncatedBytes) => lines.push([line, truncatedBytes]));
  for (const chunk of chunks) splitter.write(chunk);
  splitter.end();
  return lines;
}

describe("createLineSplitter", () => {
  it.each([
    { text: "", lines: [] },
    { text: "\n", lines: [["", 0]] },
    {
      text: "a\nb\n",
      lines: [
        ["a", 0],
        ["b", 0],
      ],
    },
    {
      text: "a\r\nb\r\n",
      lines: [
        ["a", 0],
        ["b", 0],
      ],
    },
    { text: "a\rb\n", lines: [["a\rb", 0]] },
    { text: "no end", lines: [["no end", 0]] },
    { text: "12345678\n", lines: [["12345678", 0]] },
    { text: "12345678\r\n", lines: [["12345678", 0]] },
    { text: "123456789\n", lines: [["12345678", 1]] },
    {
      text: "123456789\r\nb\n",
      lines: [
        ["12345678", 1],
        ["b", 0],
      ],
    },
    { text: "1234567€\n", lines: [["1234567", 3]] },
    { text: "12345€\n", lines: [["12345€", 0]] },
    { text: "123456€9\n", lines: [["123456", 4]] },
    { text: "123456789", lines: [["12345678", 1]] },
  ])("$text -> $lines", ({ text, lines }) => {
    expect(split([Buffer.from(text)], 8)).toEqual(lines);
  });

  it("gives the same lines however the bytes are cut into chunks", () => {
    const text = fc.string({
      unit: fc.constantFrom("a", "€", "😀", "\n", "\r", "\r\n", "bcdefghijklmnop"),
      maxLength: 60,
    });
    fc.assert(
      fc.property(
        text,
        fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
        fc.integer({ min: 4, max: 40 }),
        (all, sizes, max) => {
          const bytes = Buffer.from(all);
          const chunks: Buffer[] = [];
          for (let start = 0, count = 0; start < bytes.length; count++) {
            const size = sizes[count % sizes.length] ?? 1;
            chunks.push(bytes.subarray(start, start + size));
            start += size;
          }
          expect(split(chunks, max)).toEqual(split([bytes], max));
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it("accounts for every byte, and keeps no more than it may", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "grapheme" })), fc.integer({ min: 4, max: 20 }), (parts, max) => {
        const lines = parts.map((part) => part.replaceAll(/[\r\n]/g, ""));
        const result = split([Buffer.from(lines.map((line) => `${line}\n`).join(""))], max);
        expect(result.map(([line, truncated]) => Buffer.byteLength(line) + truncated)).toEqual(
          lines.map((line) => Buffer.byteLength(line)),
        );
        for (const [line] of result) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(max);
      }),
    );
  });

  it("replaces bytes that are not UTF-8", () => {
    expect(split([Buffer.from([0x61, 0xff, 0x62, 0x0a])])).toEqual([["a\ufffdb", 0]]);
  });
});
