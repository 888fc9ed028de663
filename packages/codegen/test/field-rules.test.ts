import { checkEndpointPath, checkMinVersion, checkName, checkVersion } from "@cpg/core/extension";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { brokenNameRule, brokenPathRule, brokenVersionRule } from "../src/field-rules.ts";

/** What the generator lets pass has to pass in core, and the other way round: it is the same protocol. */
function agree(ours: (value: string) => string | undefined, cores: (field: string, value: string) => void) {
  return (value: string) => {
    let refused = false;
    try {
      cores("field", value);
    } catch {
      refused = true;
    }
    expect(ours(value) !== undefined, value).toBe(refused);
  };
}

const number = fc.constantFrom("0", "1", "10", "01", "9007199254740991", "9007199254740992", "", "x");
const semver = fc
  .tuple(number, number, number, fc.constantFrom("", "-rc.1", "-01", "-a.01", "-", "+b", `-${"a".repeat(70)}`, "\0"))
  .map(([major, minor, patch, rest]) => `${major}.${minor}.${patch}${rest}`);
const text = fc.oneof(
  fc.string({ unit: fc.constantFrom(..."aZ9._-/ ä\0".split("")), maxLength: 8 }),
  fc.integer({ min: 125, max: 260 }).map((length) => "a".repeat(length)),
);

describe("the generator's rules are those of core", () => {
  it("for names", () => {
    fc.assert(fc.property(text, agree(brokenNameRule, checkName)), { numRuns: 2_000 });
  });

  it("for versions", () => {
    fc.assert(fc.property(fc.oneof(semver, text), agree(brokenVersionRule, checkVersion)), { numRuns: 2_000 });
  });

  it("for least versions that are given", () => {
    const given = semver.filter((version) => version !== "");
    fc.assert(fc.property(given, agree(brokenVersionRule, checkMinVersion)), { numRuns: 500 });
  });

  it("for the paths of services", () => {
    const typeName = fc.stringMatching(/^(connectplugin\.)?[a-z]{1,3}(\.[A-Z][a-z]{0,2}){0,2}$/);
    const long = fc.integer({ min: 250, max: 260 }).map((length) => "S".repeat(length));
    const path = fc.oneof(typeName, long).map((name) => `/${name}/`);
    fc.assert(fc.property(path, agree(brokenPathRule, checkEndpointPath)), { numRuns: 1_000 });
  });
});
