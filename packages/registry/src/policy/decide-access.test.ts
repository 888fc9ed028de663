import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AccessFacts, type AccessReason, decideAccess } from "./decide-access.ts";

const any: AccessFacts = { ruled: undefined, taken: false, declared: undefined, strict: false };
const facts = fc.record({
  ruled: fc.constantFrom("allow" as const, "deny" as const, undefined),
  taken: fc.boolean(),
  declared: fc.constantFrom(true, false, undefined),
  strict: fc.boolean(),
});

describe("decideAccess", () => {
  it.each<Partial<AccessFacts> & { allowed: boolean; reason: AccessReason }>([
    { ruled: "deny", declared: true, allowed: false, reason: "rule" },
    { ruled: "allow", taken: true, declared: false, strict: true, allowed: true, reason: "rule" },
    { taken: true, declared: true, allowed: false, reason: "type-taken" },
    { declared: true, strict: true, allowed: true, reason: "declared" },
    { declared: false, allowed: false, reason: "undeclared" },
    { declared: false, strict: true, allowed: false, reason: "undeclared" },
    { strict: true, allowed: false, reason: "strict" },
    { allowed: true, reason: "declares-nothing" },
  ])(
    "ruled $ruled, taken $taken, declared $declared, strict $strict -> $allowed: $reason",
    ({ allowed, reason, ...changed }) => {
      expect(decideAccess({ ...any, ...changed })).toEqual({ allowed, reason });
    },
  );

  it("allows nothing when strict that it would deny otherwise", () => {
    fc.assert(
      fc.property(facts, (some) => {
        const strict = decideAccess({ ...some, strict: true });
        expect(strict.allowed && !decideAccess({ ...some, strict: false }).allowed).toBe(false);
      }),
    );
  });

  it("always does what a rule says", () => {
    fc.assert(
      fc.property(facts, (some) => {
        expect(decideAccess({ ...some, ruled: "deny" }).allowed).toBe(false);
        expect(decideAccess({ ...some, ruled: "allow" }).allowed).toBe(true);
      }),
    );
  });
});
