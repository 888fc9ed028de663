import { describe, expect, it } from "vitest";
import { versionIn } from "./proxy-program.ts";

describe("versionIn", () => {
  it.each([
    ["nginx version: nginx/1.22.1\n", "1.22.1"],
    ["HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\nStatus: long-term\n", "2.6.12"],
  ])("finds what a program tells: %j", (told, version) => {
    expect(versionIn(told)).toBe(version);
  });

  it("refuses a text without one", () => {
    expect(() => versionIn("no such option")).toThrow(/no version in "no such option"/);
  });
});
