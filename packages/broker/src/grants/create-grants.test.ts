import { Code, ConnectError } from "@connectrpc/connect";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { isGrantRefused } from "../grant-refused.ts";
import { createGrants } from "./create-grants.ts";
import type { GrantChange, GrantLimits } from "./grants.ts";

const terms = { type: "kv", version: "1.0.0", holder: "api-1", reason: "caching" };

function scene(limits?: GrantLimits) {
  const clock = new FakeClock();
  const changes: GrantChange[] = [];
  const onEvent = (change: GrantChange): void => void changes.push(change);
  const grants = createGrants({ clock, ttlMs: 10_000, maxTtlMs: 25_000, limits, onEvent });
  return { clock, changes, grants };
}

function failureOf(work: () => unknown): ConnectError {
  try {
    work();
  } catch (reason) {
    return ConnectError.from(reason);
  }
  throw new Error("it did not fail");
}

describe("the token of a grant", () => {
  it("is shown once: no copy, no log and no list has it", () => {
    const { grants } = scene();
    const issued = grants.issue(terms);
    expect(issued.token).toMatch(/^[\w-]{43}$/);
    expect(JSON.stringify([issued, grants.list(), grants.get(issued.grant.accessor)])).not.toContain(issued.token);
  });

  it.each([
    { what: "none", token: "" },
    { what: "a shorter one", token: "x".repeat(42) },
    { what: "one of the right length", token: "x".repeat(43) },
    { what: "an endless one", token: "x".repeat(100_000) },
  ])("$what is refused, and changes nothing", ({ token }) => {
    const { grants, changes } = scene();
    const { grant } = grants.issue(terms);
    const before = grants.list();
    const error = failureOf(() => grants.check(grant.id, "kv", token));
    expect([error.code, isGrantRefused(error)]).toEqual([Code.Unauthenticated, true]);
    expect(grants.list()).toEqual(before);
    expect(changes).toHaveLength(1);
  });

  it("of one grant does not open another, and no error tells that it would open one", () => {
    const { grants } = scene();
    const first = grants.issue(terms);
    const second = grants.issue({ ...terms, holder: "b-1" });
    const wrong = failureOf(() => grants.check(first.grant.id, "kv", "x".repeat(43)));
    const others = failureOf(() => grants.check(first.grant.id, "kv", second.token));
    expect(others).toEqual(wrong);
    const unknown = failureOf(() => grants.check("nothing", "kv", "x".repeat(43)));
    const unknownWithToken = failureOf(() => grants.check("nothing", "kv", second.token));
    expect(unknownWithToken).toEqual(unknown);
    expect([unknown.code, isGrantRefused(unknown)]).toEqual([Code.NotFound, true]);
  });

  it("is of no use under another type", () => {
    const { grants } = scene();
    const { grant, token } = grants.issue(terms);
    const error = failureOf(() => grants.check(grant.id, "log", token));
    expect([error.code, isGrantRefused(error)]).toEqual([Code.NotFound, true]);
    expect(grants.check(grant.id, "kv", token)).toBe(grant);
  });
});

describe("a grant whose time is up", () => {
  it("is refused at once, also before the timer", async () => {
    const { clock, grants } = scene();
    const { grant, token } = grants.issue({ ...terms, ttlMs: 1_500 });
    await clock.advance(1_499);
    expect(grants.check(grant.id, "kv", token)).toBe(grant);
    await clock.advance(1);
    expect(failureOf(() => grants.check(grant.id, "kv", token)).code).toBe(Code.NotFound);
    expect([grants.size, grants.get(grant.accessor)]).toEqual([0, undefined]);
  });

  it("leaves memory within a second without being touched, and its calls are cut", async () => {
    const { clock, changes, grants } = scene();
    const { grant } = grants.issue({ ...terms, ttlMs: 1_500 });
    const { signal } = grants.enter(grant.id, undefined);
    await clock.advance(2_500);
    expect(grants.size).toBe(0);
    expect(signal.reason).toMatchObject({ code: Code.PermissionDenied });
    expect(changes.at(-1)).toMatchObject({ type: "ended", end: "expired", grant });
    expect(clock.pending).toBe(0);
  });

  it("was renewed meanwhile, and lives on to its new end", async () => {
    const { clock, grants } = scene();
    const { grant } = grants.issue(terms);
    await clock.advance(9_000);
    grants.renew(grant.id, "api-1");
    await clock.advance(9_500);
    expect(grants.size).toBe(1);
    await clock.advance(1_500);
    expect(grants.size).toBe(0);
  });

  it("is not waited for by those that expire sooner, nor by those that came later", async () => {
    const { clock, grants } = scene();
    grants.issue({ ...terms, ttlMs: 20_000 });
    grants.issue({ ...terms, ttlMs: 2_000 });
    await clock.advance(3_000);
    expect(grants.size).toBe(1);
    const [last] = grants.list();
    grants.revoke(last?.accessor ?? "", "test");
    await clock.advance(0);
    expect(clock.pending).toBe(0);
    grants.issue({ ...terms, ttlMs: 1_000 });
    await clock.advance(2_000);
    expect(grants.size).toBe(0);
  });
});

describe("limits", () => {
  it("of live grants per identity: whoever asked for them counts, whoever they are for", () => {
    const { grants } = scene({ maxGrantsPerIdentity: 2 });
    const { grant } = grants.issue(terms);
    grants.derive(grant.id, "api-1", { holder: "b-1", reason: "" });
    const error = failureOf(() => grants.issue(terms));
    expect([error.code, error.metadata.get("retry-after")]).toEqual([Code.ResourceExhausted, "10"]);
    expect(failureOf(() => grants.derive(grant.id, "api-1", { holder: "b-1", reason: "" })).code).toBe(
      Code.ResourceExhausted,
    );
    expect(grants.issue({ ...terms, holder: "b-1" }).grant.holder).toBe("b-1");
    grants.giveBack(grant.id, "api-1");
    expect(grants.size).toBe(1);
    expect(grants.issue(terms).grant.holder).toBe("api-1");
  });

  it("of live grants in all", () => {
    const { grants } = scene({ maxGrants: 1 });
    grants.issue(terms);
    expect(failureOf(() => grants.issue({ ...terms, holder: "b-1" })).code).toBe(Code.ResourceExhausted);
    expect(grants.size).toBe(1);
  });

  it("of calls at a time", () => {
    const { grants } = scene({ maxConcurrentCalls: 2 });
    const { grant } = grants.issue(terms);
    const first = grants.enter(grant.id, undefined);
    grants.enter(grant.id, undefined);
    expect(failureOf(() => grants.enter(grant.id, undefined)).code).toBe(Code.ResourceExhausted);
    first.leave();
    first.leave();
    grants.enter(grant.id, undefined);
    expect(failureOf(() => grants.enter(grant.id, undefined)).code).toBe(Code.ResourceExhausted);
  });

  it("of calls per second, with a retry delay, and for each grant by itself", async () => {
    const { clock, grants } = scene({ callsPerSecond: 1, callBurst: 2 });
    const { grant } = grants.issue(terms);
    const { grant: other } = grants.issue(terms);
    for (let call = 0; call < 2; call++) grants.enter(grant.id, undefined).leave();
    const error = failureOf(() => grants.enter(grant.id, undefined));
    expect([error.code, error.metadata.get("retry-after")]).toEqual([Code.ResourceExhausted, "1"]);
    grants.enter(other.id, undefined).leave();
    await clock.advance(1_000);
    grants.enter(grant.id, undefined).leave();
  });

  it.each([
    { maxGrants: 0 },
    { maxGrantsPerIdentity: 1.5 },
    { maxDepth: -1 },
    { maxConcurrentCalls: Number.NaN },
    { callsPerSecond: 0 },
    { callsPerSecond: Number.POSITIVE_INFINITY },
    { callBurst: 0 },
  ])("%o is refused by name", (limits) => {
    expect(() => scene(limits)).toThrow(new RegExp(`limits.${Object.keys(limits).join()} must be`));
  });
});

describe("a time to live", () => {
  const bad = [0, -1, Number.NaN, Number.POSITIVE_INFINITY];

  it.each(bad)("of %d is refused by name, whoever asks, and changes nothing", (ttlMs) => {
    const { grants } = scene();
    const { grant } = grants.issue(terms);
    const refusal = /^ttlMs must be a finite number of ms greater than 0/;
    expect(() => grants.issue({ ...terms, ttlMs })).toThrow(refusal);
    expect(() => grants.renew(grant.id, "api-1", ttlMs)).toThrow(refusal);
    expect(() => grants.derive(grant.id, "api-1", { holder: "b-1", reason: "", ttlMs })).toThrow(refusal);
    expect(grants.list()).toEqual([grant]);
  });

  it.each(bad)("of %d is no default, and no maximum", (ms) => {
    const clock = new FakeClock();
    expect(() => createGrants({ clock, ttlMs: ms, maxTtlMs: 1 })).toThrow(/^ttlMs must be/);
    expect(() => createGrants({ clock, ttlMs: 1, maxTtlMs: ms })).toThrow(/^maxTtlMs must be/);
  });
});

describe("methods", () => {
  it("of a derived grant are the only ones that it can be used for", () => {
    const { grants } = scene();
    const { grant } = grants.issue(terms);
    const { grant: narrow } = grants.derive(grant.id, "api-1", {
      holder: "b-1",
      reason: "",
      methods: ["kv.v1.KV/Get"],
    });
    grants.enter(grant.id, "kv.v1.KV/Put").leave();
    grants.enter(narrow.id, "kv.v1.KV/Get").leave();
    for (const method of ["kv.v1.KV/Put", undefined]) {
      expect(failureOf(() => grants.enter(narrow.id, method)).code).toBe(Code.PermissionDenied);
    }
  });
});

describe("what a holder does", () => {
  it.each([
    { what: "renew", act: (grants: ReturnType<typeof createGrants>, id: string) => grants.renew(id, "b-1") },
    { what: "return", act: (grants: ReturnType<typeof createGrants>, id: string) => grants.giveBack(id, "b-1") },
    {
      what: "derive from",
      act: (grants: ReturnType<typeof createGrants>, id: string) =>
        grants.derive(id, "b-1", { holder: "c-1", reason: "" }),
    },
  ])("nobody else can do: $what", ({ act }) => {
    const { grants } = scene();
    const { grant } = grants.issue(terms);
    const before = grants.list();
    expect(failureOf(() => act(grants, grant.id)).code).toBe(Code.NotFound);
    expect(grants.list()).toEqual(before);
  });
});

describe("an end", () => {
  it("takes what was derived with it, and cuts all their calls", () => {
    const { changes, grants } = scene();
    const { grant } = grants.issue(terms);
    const { grant: child } = grants.derive(grant.id, "api-1", { holder: "b-1", reason: "" });
    const { grant: grandchild } = grants.derive(child.id, "b-1", { holder: "c-1", reason: "" });
    const signals = [grant, child, grandchild].map(({ id }) => grants.enter(id, undefined).signal);
    expect(grants.revoke(grant.accessor, "it misbehaved")).toBe(3);
    for (const { reason } of signals) {
      expect(reason).toMatchObject({
        code: Code.PermissionDenied,
        rawMessage: expect.stringContaining("it misbehaved"),
      });
    }
    const ended = changes.slice(3).map((change) => [change.type, change.grant.accessor]);
    expect(ended).toEqual([grant, child, grandchild].map(({ accessor }) => ["ended", accessor]));
  });

  it("takes any number of derived grants with it", () => {
    const count = 130_000;
    const { grants } = scene({ maxGrants: count + 1, maxGrantsPerIdentity: count + 1 });
    const { grant } = grants.issue(terms);
    for (let at = 0; at < count; at++) grants.derive(grant.id, "api-1", { holder: "b-1", reason: "" });
    expect(grants.revoke(grant.accessor, "test")).toBe(count + 1);
    expect(grants.size).toBe(0);
  });

  it("of an identity ends what it holds, and what was derived from that for others, but not what others hold", () => {
    const { grants } = scene();
    const { grant } = grants.issue(terms);
    grants.derive(grant.id, "api-1", { holder: "b-1", reason: "" });
    const { grant: own } = grants.issue({ ...terms, holder: "b-1" });
    expect(grants.endHolder("api-1", "released")).toBe(2);
    expect(grants.list()).toEqual([own]);
  });

  it("a listener that throws, or asks for more ends, disturbs nothing", () => {
    const clock = new FakeClock();
    const errors: unknown[] = [];
    const grants = createGrants({
      clock,
      ttlMs: 1_000,
      maxTtlMs: 1_000,
      onEvent(change) {
        if (change.type !== "ended") return;
        grants.revokeAll("again");
        throw new Error("no");
      },
      onError: (error) => errors.push(error),
    });
    const first = grants.issue(terms);
    grants.issue(terms);
    expect(grants.revoke(first.grant.accessor, "test")).toBe(1);
    expect(grants.size).toBe(0);
    expect(errors).toHaveLength(2);
  });

  it("of the host is the last: nothing is issued afterwards, and no timer runs", async () => {
    const { clock, grants } = scene();
    grants.issue(terms);
    grants.close();
    grants.close();
    expect(failureOf(() => grants.issue(terms)).code).toBe(Code.Unavailable);
    expect(grants.size).toBe(0);
    await clock.advance(0);
    expect(clock.pending).toBe(0);
  });
});
