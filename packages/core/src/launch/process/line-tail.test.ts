import { describe, expect, it } from "vitest";
import { createLineTail } from "./line-tail.ts";

const tailOf = (lines: readonly string[], maxLines?: number, maxLength?: number) => {
  const tail = createLineTail(maxLines, maxLength);
  for (const line of lines) tail.push(line);
  return tail.lines();
};

describe("the tail of a stream", () => {
  it("is its last lines, each cut", () => {
    expect(tailOf(["one", "two", "three"], 2)).toEqual(["two", "three"]);
    expect(tailOf(["12345"], 2, 4)).toEqual(["123\u2026"]);
  });

  it("keeps what went wrong, and of its stack trace the first frames", () => {
    const frames = Array.from({ length: 30 }, (_, frame) => `    at load (node:internal/${frame})`);
    expect(tailOf(["plugin.ts:3", "SyntaxError: no", ...frames, "}", "", "Node.js v24"])).toEqual([
      "plugin.ts:3",
      "SyntaxError: no",
      ...frames.slice(0, 3),
      "}",
      "",
      "Node.js v24",
    ]);
  });
});
