import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decideUpstream, type UpstreamFacts, type UpstreamReason } from "./decide-upstream.ts";

const elsewhere: UpstreamFacts = { own: false, lacksTls: false, ruled: undefined, peersOwn: false, sameMachine: false };

describe("decideUpstream", () => {
  it.each<Partial<UpstreamFacts> & { allowed: boolean; reason: UpstreamReason }>([
    { own: true, ruled: "allow", peersOwn: true, sameMachine: true, allowed: false, reason: "own-listener" },
    { lacksTls: true, ruled: "allow", peersOwn: true, allowed: false, reason: "cleartext" },
    { ruled: "deny", peersOwn: true, sameMachine: true, allowed: false, reason: "rule" },
    { ruled: "allow", allowed: true, reason: "rule" },
    { peersOwn: true, allowed: true, reason: "peers-own" },
    { sameMachine: true, allowed: true, reason: "same-machine" },
    { allowed: false, reason: "elsewhere" },
  ])(
    "own $own, lacksTls $lacksTls, ruled $ruled, peersOwn $peersOwn, sameMachine $sameMachine -> $reason",
    ({ allowed, reason, ...facts }) => {
      expect(decideUpstream({ ...elsewhere, ...facts })).toEqual({ allowed, reason });
    },
  );

  it("never allows the host's own listener, or cleartext where TLS is asked for", () => {
    const facts = fc.record({
      own: fc.boolean(),
      lacksTls: fc.boolean(),
      ruled: fc.constantFrom("allow" as const, "deny" as const, undefined),
      peersOwn: fc.boolean(),
      sameMachine: fc.boolean(),
    });
    fc.assert(
      fc.property(facts, (some) => {
        const { allowed } = decideUpstream(some);
        expect(allowed && (some.own || some.lacksTls || some.ruled === "deny")).toBe(false);
      }),
    );
  });
});
