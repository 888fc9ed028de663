import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { logEntry } from "./log-entry.ts";
import { printable, shortened } from "./printable.ts";

const limits = { maxMessage: 8, maxFields: 2, maxKey: 4, maxValue: 6 };
const order = { level: "info", message: "hello", fields: {} };

describe("the level of an entry", () => {
  it.each([
    { asked: "debug", level: "debug", kept: undefined },
    { asked: "info", level: "info", kept: undefined },
    { asked: "warn", level: "warn", kept: undefined },
    { asked: "error", level: "error", kept: undefined },
    { asked: "WARN", level: "warn", kept: undefined },
    { asked: "warning", level: "warn", kept: "warning" },
    { asked: "trace", level: "debug", kept: "trace" },
    { asked: "fatal", level: "error", kept: "fatal" },
    { asked: "shout", level: "info", kept: "shout" },
    { asked: "", level: "info", kept: "" },
    { asked: "constructor", level: "info", kept: "constructor" },
    { asked: "a\nb", level: "info", kept: "a\\nb" },
    { asked: "x".repeat(99), level: "info", kept: "x".repeat(32) },
  ])("$asked is $level", ({ asked, level, kept }) => {
    const entry = logEntry("kv-1", { ...order, level: asked }, limits);
    expect(entry.level).toBe(level);
    expect(entry.fields.pluginLevel).toBe(kept);
  });
});

describe("what is written of an entry", () => {
  it.each([
    {
      what: "all of a small one",
      given: { message: "12345678", fields: { a: "b" } },
      fields: { a: "b" },
      cut: undefined,
    },
    { what: "the beginning of a long message", given: { message: "123456789ab" }, fields: undefined, cut: [3, 0] },
    {
      what: "the first fields",
      given: { fields: { a: "1", b: "2", c: "3" } },
      fields: { a: "1", b: "2" },
      cut: [0, 1],
    },
    {
      what: "short names and values",
      given: { fields: { abcde: "1234567" } },
      fields: { abcd: "123456" },
      cut: [2, 0],
    },
  ])("is $what", ({ given, fields, cut }) => {
    const entry = logEntry("kv-1", { ...order, ...given }, limits);
    expect(entry.fields.fields).toEqual(fields);
    expect(entry.fields.cut).toEqual(cut && { characters: cut[0], fields: cut[1] });
    expect(entry.message.length).toBeLessThanOrEqual(8);
  });

  it("takes no name of the log's own, and changes no prototype", () => {
    const fields = JSON.parse('{"plugin":"root","__proto__":"x"}');
    const entry = logEntry("kv-1", { ...order, fields }, { ...limits, maxKey: 16 });
    expect(entry.fields.plugin).toBe("kv-1");
    expect(Object.entries(entry.fields.fields ?? {})).toEqual([
      ["plugin", "root"],
      ["__proto__", "x"],
    ]);
  });
});

describe("printable text", () => {
  it.each([
    ["plain, ä, 漢, 👍", "plain, ä, 漢, 👍"],
    ["a\nb\r\tc", "a\\nb\\r\\tc"],
    ["\u001b[31mred", "\\u001b[31mred"],
    ["\u0000\u007f\u0085", "\\u0000\\u007f\\u0085"],
    ["\u202eabc\u2028", "\\u202eabc\\u2028"],
    ["half \ud83d", "half \\ud83d"],
  ])("of %j is %j", (text, expected) => {
    expect(printable(text)).toBe(expected);
  });

  it("is one line without control characters, whatever the text, and stays as it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const shown = printable(text);
        expect(shown).not.toMatch(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u);
        expect(printable(shown)).toBe(shown);
      }),
    );
  });

  it("is never cut within a character", () => {
    expect(shortened("a👍b", 2)).toBe("a");
    expect(shortened("a👍b", 3)).toBe("a👍");
  });
});
