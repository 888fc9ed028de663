import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { identityOf } from "../../test/support/identity-of.ts";
import { type DeclaredPolicyOptions, decideDeclared, declaredPolicy } from "./declared-policy.ts";

const foreign = identityOf("go");
const modest = identityOf("modest", { provides: [], requires: [] });
const logging = identityOf("logging", { provides: [], requires: [{ type: "logger" }] });

function answer(options: DeclaredPolicyOptions, identity = foreign, type = "logger"): unknown {
  try {
    return declaredPolicy(options).allow(identity, { type, version: "1.0.0" }, "", new AbortController().signal);
  } catch (error) {
    return error;
  }
}

describe("decideDeclared", () => {
  it.each([
    { listed: true, declared: false, strict: true, denial: undefined },
    { listed: true, declared: undefined, strict: true, denial: undefined },
    { listed: false, declared: true, strict: false, denial: "unlisted" },
    { listed: undefined, declared: true, strict: true, denial: undefined },
    { listed: undefined, declared: false, strict: false, denial: "undeclared" },
    { listed: undefined, declared: undefined, strict: true, denial: "strict" },
    { listed: undefined, declared: undefined, strict: false, denial: undefined },
  ])("listed $listed, declared $declared, strict $strict -> $denial", ({ denial, ...facts }) => {
    expect(decideDeclared(facts)).toBe(denial);
  });
});

describe("declaredPolicy", () => {
  it.each([
    { of: "what it declared", options: {}, identity: logging },
    { of: "anything, if it cannot declare", options: {}, identity: foreign },
    { of: "what the host lists for it", options: { allowed: { modest: ["logger"] } }, identity: modest },
    { of: "what the host lists for it", options: { allowed: { go: ["logger"] }, strict: true }, identity: foreign },
    { of: "what it declared, of a strict host", options: { strict: true }, identity: logging },
    { of: "what it declared, when others are listed", options: { allowed: { other: [] } }, identity: logging },
  ])("gives $identity.selfId $of", ({ options, identity }) => {
    expect(answer(options, identity)).toBe(true);
  });

  it.each([
    { of: "what it did not declare", options: {}, identity: modest, says: "did not declare" },
    { of: "what is not on its list", options: { allowed: { logging: ["kv"] } }, identity: logging, says: "list" },
    { of: "anything, with an empty list", options: { allowed: { go: [] } }, identity: foreign, says: "list" },
    { of: "anything, of a strict host", options: { strict: true }, identity: foreign, says: "only what is declared" },
  ])("denies $identity.selfId $of, and says why", ({ options, identity, says }) => {
    expect(answer(options, identity)).toMatchObject({
      code: Code.PermissionDenied,
      rawMessage: expect.stringContaining(says),
    });
  });

  it("knows no plugin by a name that every object has", () => {
    const named = identityOf("constructor", { provides: [], requires: [] });
    expect(answer({ allowed: {} }, named)).toMatchObject({ rawMessage: expect.stringContaining("did not declare") });
  });
});
