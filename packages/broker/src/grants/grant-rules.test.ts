import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { allowsMethod, derivedGrant, isOver, issuedGrant, renewedGrant } from "./grant-rules.ts";

const names = { id: "id-1", accessor: "acc-1" };
const otherNames = { id: "id-2", accessor: "acc-2" };
const at = (monotonicMs: number) => ({ monotonicMs, wallMs: 1_000_000 + monotonicMs });
const terms = { type: "kv", version: "1.2.0", holder: "api-1", reason: "caching", ttlMs: 100, maxTtlMs: 250 };
const grant = issuedGrant(names, terms, at(1_000));
const derived = derivedGrant(
  grant,
  otherNames,
  { holder: "b-1", reason: "", methods: ["kv.v1.KV/Get"], ttlMs: 40 },
  at(1_010),
  4,
);

describe("a grant that the host gives out", () => {
  it("expires after its time to live, and can be renewed up to its greatest one", () => {
    expect(grant).toEqual({
      ...names,
      type: "kv",
      version: "1.2.0",
      holder: "api-1",
      methods: undefined,
      reason: "caching",
      issuedAtMs: 1_001_000,
      ttlMs: 100,
      maxTtlMs: 250,
      expiresAtMs: 1_100,
      endsAtMs: 1_250,
      renewable: true,
      derivedFrom: undefined,
      depth: 0,
    });
  });

  it("gets no more than the greatest time to live", () => {
    const greedy = issuedGrant(names, { ...terms, ttlMs: 9_999 }, at(0));
    expect(greedy).toMatchObject({ ttlMs: 250, expiresAtMs: 250, renewable: false });
  });

  it.each([
    [1_099, false],
    [1_100, true],
    [1_101, true],
  ])("at %i: over is %s", (nowMs, over) => {
    expect(isOver(grant, nowMs)).toBe(over);
  });
});

describe("a renewal", () => {
  it.each([
    { what: "its own time again", ttlMs: undefined, nowMs: 1_050, expiresAtMs: 1_150, renewable: true },
    { what: "the time asked for", ttlMs: 120, nowMs: 1_050, expiresAtMs: 1_170, renewable: true },
    { what: "up to the end of all renewals", ttlMs: 900, nowMs: 1_050, expiresAtMs: 1_250, renewable: false },
    { what: "never less than it had", ttlMs: 1, nowMs: 1_050, expiresAtMs: 1_100, renewable: true },
  ])("gives $what", ({ ttlMs, nowMs, expiresAtMs, renewable }) => {
    const renewed = renewedGrant(grant, undefined, ttlMs, nowMs);
    expect(renewed).toEqual({ ...grant, ttlMs: expiresAtMs - nowMs, expiresAtMs, renewable });
  });

  it("at the end of all renewals is refused", () => {
    const last = renewedGrant(grant, undefined, 900, 1_050);
    const failure = expect.objectContaining({
      code: Code.FailedPrecondition,
      rawMessage: expect.stringContaining("greatest"),
    });
    expect(() => renewedGrant(last, undefined, 1, 1_200)).toThrow(failure);
  });

  it("of a derived grant ends when what it was derived from does", () => {
    expect(renewedGrant(derived, grant, 900, 1_020).expiresAtMs).toBe(1_100);
    const atItsEnd = renewedGrant(derived, grant, 900, 1_020);
    const failure = expect.objectContaining({
      code: Code.FailedPrecondition,
      rawMessage: expect.stringContaining("derived"),
    });
    expect(() => renewedGrant(atItsEnd, grant, 900, 1_030)).toThrow(failure);
    const longer = renewedGrant(grant, undefined, 100, 1_050);
    expect(renewedGrant(atItsEnd, longer, 900, 1_060).expiresAtMs).toBe(1_150);
  });
});

describe("what is derived", () => {
  it("is narrower and no longer, and knows where it comes from", () => {
    expect(derived).toMatchObject({
      ...otherNames,
      type: "kv",
      version: "1.2.0",
      holder: "b-1",
      methods: ["kv.v1.KV/Get"],
      expiresAtMs: 1_050,
      endsAtMs: 1_250,
      maxTtlMs: 240,
      derivedFrom: "acc-1",
      depth: 1,
    });
    expect([allowsMethod(derived, "kv.v1.KV/Get"), allowsMethod(derived, "kv.v1.KV/Put")]).toEqual([true, false]);
  });

  it("has what is left of the time and of the methods, if nothing is said", () => {
    const same = { holder: "c-1", reason: "", methods: undefined, ttlMs: undefined };
    expect(derivedGrant(derived, names, same, at(1_030), 4)).toMatchObject({
      methods: ["kv.v1.KV/Get"],
      ttlMs: 20,
      expiresAtMs: 1_050,
      depth: 2,
    });
    expect(derivedGrant(grant, names, same, at(1_030), 4).methods).toBeUndefined();
  });

  it.each([
    {
      what: "a method that is not allowed",
      methods: ["kv.v1.KV/Put"],
      maxDepth: 4,
      code: Code.PermissionDenied,
      says: /kv.v1.KV\/Put/,
    },
    {
      what: "one derivation too many",
      methods: undefined,
      maxDepth: 1,
      code: Code.FailedPrecondition,
      says: /1 derivations deep/,
    },
  ])("is refused for $what", ({ methods, maxDepth, code, says }) => {
    const ask = { holder: "c-1", reason: "", methods, ttlMs: undefined };
    const failure = expect.objectContaining({ code, rawMessage: expect.stringMatching(says) });
    expect(() => derivedGrant(derived, names, ask, at(1_020), maxDepth)).toThrow(failure);
  });
});
