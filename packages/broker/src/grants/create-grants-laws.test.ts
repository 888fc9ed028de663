import { ConnectError } from "@connectrpc/connect";
import { FakeClock } from "@cpg/resilience/testing";
import fc from "fast-check";
import { expect, it } from "vitest";
import { createGrants } from "./create-grants.ts";
import type { Grant } from "./grant.ts";
import type { GrantChange } from "./grants.ts";

const holders = ["a", "b", "c"];
const types = ["kv", "log"];
const methods = ["m1", "m2", "m3"];
const index = fc.nat(40);
const ttlMs = fc.option(fc.integer({ min: 1, max: 8_000 }), { nil: undefined });

const step = fc.oneof(
  fc.record({
    do: fc.constant("issue" as const),
    holder: fc.constantFrom(...holders),
    type: fc.constantFrom(...types),
    ttlMs,
  }),
  fc.record({
    do: fc.constant("derive" as const),
    of: index,
    holder: fc.constantFrom(...holders),
    methods: fc.option(fc.subarray(methods, { minLength: 1 }), { nil: undefined }),
    ttlMs,
  }),
  fc.record({ do: fc.constant("renew" as const), of: index, ttlMs }),
  fc.record({ do: fc.constant("return" as const), of: index }),
  fc.record({ do: fc.constant("revoke" as const), of: index }),
  fc.record({ do: fc.constant("revoke holder" as const), holder: fc.constantFrom(...holders) }),
  fc.record({ do: fc.constant("revoke type" as const), type: fc.constantFrom(...types) }),
  fc.record({ do: fc.constant("holder ends" as const), holder: fc.constantFrom(...holders) }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 4_000 }) }),
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const limits = { maxGrants: 12, maxGrantsPerIdentity: 6, maxDepth: 3 };

function scene() {
  const clock = new FakeClock();
  const changes: GrantChange[] = [];
  const grants = createGrants({
    clock,
    ttlMs: 3_000,
    maxTtlMs: 9_000,
    limits,
    onEvent: (change) => changes.push(change),
  });
  return { clock, changes, grants };
}

/** What a grant may become that is asked for something; a refusal is no harm. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (reason) {
    if (reason instanceof ConnectError) return undefined;
    throw reason;
  }
}

it("whatever happens, what was derived never allows more, never lives longer, and nothing is left of what ended", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { clock, changes, grants } = scene();
      /** All that ever were, with what proves them, and where they come from. */
      const known: { readonly id: string; readonly token: string; readonly from: string | undefined }[] = [];
      const signals = new Map<string, AbortSignal>();
      const violations: string[] = [];
      const oneOf = (of: number): Grant | undefined => grants.find(known[of % Math.max(1, known.length)]?.id ?? "");

      const take = async (one: Step): Promise<void> => {
        const grant = "of" in one ? oneOf(one.of) : undefined;
        switch (one.do) {
          case "issue": {
            const issued = attempt(() => grants.issue({ ...one, version: "1.0.0", reason: "" }));
            if (issued !== undefined) known.push({ id: issued.grant.id, token: issued.token, from: undefined });
            break;
          }
          case "derive": {
            const derived = grant && attempt(() => grants.derive(grant.id, grant.holder, { ...one, reason: "" }));
            if (derived !== undefined) known.push({ id: derived.grant.id, token: derived.token, from: grant?.id });
            break;
          }
          case "renew": {
            const renewed = grant && attempt(() => grants.renew(grant.id, grant.holder, one.ttlMs));
            if (renewed !== undefined && grant !== undefined && renewed.expiresAtMs < grant.expiresAtMs) {
              violations.push("a renewal made a grant shorter");
            }
            break;
          }
          case "return":
            if (grant !== undefined) grants.giveBack(grant.id, grant.holder);
            break;
          case "revoke":
            grants.revoke(grant?.accessor ?? "", "test");
            break;
          case "revoke holder":
            grants.revokeHolder(one.holder, "test");
            break;
          case "revoke type":
            grants.revokeCapability(one.type, "test");
            break;
          case "holder ends":
            grants.endHolder(one.holder, "test");
            break;
          case "wait":
            await clock.advance(one.ms);
        }
      };

      const check = (): void => {
        const live = new Map(grants.list().map((grant) => [grant.id, grant]));
        if (live.size > limits.maxGrants) violations.push("more grants than the limit");
        for (const { id, token, from } of known) {
          const grant = live.get(id);
          const usable = types.some((type) => attempt(() => grants.check(id, type, token)) !== undefined);
          if (usable !== (grant !== undefined)) violations.push("what is listed is not what can be used");
          if (grant === undefined) {
            if (signals.get(id)?.aborted === false) violations.push("calls go on under a grant that has ended");
            continue;
          }
          if (!signals.has(id)) signals.set(id, grants.enter(id, grant.methods?.[0]).signal);
          if (signals.get(id)?.aborted) violations.push("calls are cut under a grant that lives");
          if (grant.expiresAtMs <= clock.monotonic()) violations.push("a grant outlives its time");
          if (grant.expiresAtMs > grant.endsAtMs) violations.push("a grant outlives its renewals");
          const parent = from === undefined ? undefined : live.get(from);
          if (from !== undefined && (parent === undefined || !isNarrower(grant, parent))) {
            violations.push("what was derived is more than what it comes from");
          }
        }
      };

      for (const one of steps) {
        await take(one);
        check();
      }
      grants.revokeAll("the end");
      check();
      expect(violations).toEqual([]);
      expect(grants.size).toBe(0);
      await clock.advance(0);
      expect(clock.pending).toBe(0); // no time is waited for
      const begun = changes.filter(({ type }) => type === "issued" || type === "derived").map(({ grant }) => grant.id);
      const over = changes.filter(({ type }) => type === "ended").map(({ grant }) => grant.id);
      expect(over.toSorted()).toEqual(begun.toSorted()); // each once
      // Nobody's account still holds what has ended.
      const rooms = holders
        .slice(0, 2)
        .map((holder) =>
          Array.from({ length: limits.maxGrantsPerIdentity }, () =>
            grants.issue({ type: "kv", version: "1.0.0", holder, reason: "" }),
          ),
        );
      expect(rooms.flat()).toHaveLength(limits.maxGrants);
      grants.close();
      await clock.advance(0);
      expect(clock.pending).toBe(0);
    }),
    { numRuns: 200 },
  );
});

function isNarrower(grant: Grant, parent: Grant): boolean {
  const methodsFit =
    parent.methods === undefined || (grant.methods?.every((method) => parent.methods?.includes(method)) ?? false);
  return methodsFit && grant.expiresAtMs <= parent.expiresAtMs && grant.endsAtMs <= parent.endsAtMs;
}
