import { inspect } from "node:util";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import type { IdentityError } from "./identity-error.ts";
import {
  createIdentityRegistry,
  type IdentityRegistry,
  type IdentityRegistryOptions,
  type IssuedIdentity,
} from "./identity-registry.ts";

const ttlMs = 1_000;

function setUp(options: IdentityRegistryOptions = {}): { clock: FakeClock; identities: IdentityRegistry } {
  const clock = new FakeClock();
  return { clock, identities: createIdentityRegistry({ ttlMs, clock, ...options }) };
}

function errorOf(call: () => unknown): ConnectError {
  try {
    call();
  } catch (error) {
    if (error instanceof ConnectError) return error;
    throw error;
  }
  throw new Error("it did not throw");
}

describe("identity registry", () => {
  it("gives out an id of the lower-cased name and a token of 256 bits", () => {
    const { clock, identities } = setUp();
    const { identity, token, ttlMs: told } = identities.issue({ selfId: "My.Plugin", selfVersion: "any text" });
    expect(identity.runtimeId).toMatch(/^my\.plugin-[0-9a-f]{24}$/);
    expect(identity).toMatchObject({ id: identity.runtimeId, selfId: "My.Plugin", selfVersion: "any text" });
    expect(identity).toMatchObject({ issuedAtMs: clock.now(), expiresAtMs: clock.now() + ttlMs, declares: undefined });
    expect(Buffer.from(token, "base64url")).toHaveLength(32);
    expect(told).toBe(ttlMs);
    expect(identities.verify(identity.runtimeId, token)).toBe(identity);
    expect(identities.get(identity.runtimeId)).toBe(identity);
  });

  it("lists all that are live, in the order in which they expire", async () => {
    const { clock, identities } = setUp();
    const [a, b, c] = ["a", "b", "c"].map((selfId) => identities.issue({ selfId }).identity);
    await clock.advance(ttlMs / 2);
    identities.renew(a?.runtimeId ?? "");
    identities.revoke(c?.runtimeId ?? "");
    expect(identities.all()).toEqual([b, a]);
    await clock.advance(ttlMs / 2);
    expect(identities.all()).toEqual([a]);
  });

  it("tells of an identity before whoever gets it knows it", () => {
    const { identities } = setUp();
    const heard: string[] = [];
    identities.onIssue(() => {
      throw new Error("harms nobody");
    });
    const stop = identities.onIssue(({ runtimeId, selfId }) => {
      heard.push(`${selfId} ${identities.get(runtimeId)?.selfId}`);
    });
    identities.issue({ selfId: "a" });
    expect(heard).toEqual(["a a"]);
    expect(() => identities.issue({ selfId: "" })).toThrow("self_id");
    stop();
    identities.issue({ selfId: "b" });
    expect(heard).toEqual(["a a"]);
  });

  it("says the same whatever is wrong with the credentials, and keeps the reason in the cause", async () => {
    const { clock, identities } = setUp();
    const { identity, token } = identities.issue({ selfId: "a" });
    const other = identities.issue({ selfId: "b" });
    const errors = [
      errorOf(() => identities.authenticate(new Headers())),
      errorOf(() => identities.verify("nobody", token)),
      errorOf(() => identities.verify(identity.runtimeId, `${token}x`)),
      errorOf(() => identities.verify(identity.runtimeId, other.token)),
      errorOf(() => identities.verify(identity.runtimeId, "x".repeat(100_000))),
    ];
    await clock.advance(ttlMs);
    errors.push(errorOf(() => identities.verify(identity.runtimeId, token)));
    expect(errors.map(({ code }) => code)).toEqual(errors.map(() => Code.Unauthenticated));
    expect(new Set(errors.map(({ message }) => message)).size).toBe(1);
    expect(errors.map(({ cause }) => (cause as IdentityError).fault)).toEqual([
      "missing",
      "unknown",
      "wrong-token",
      "wrong-token",
      "wrong-token",
      "unknown",
    ]);
  });

  it.each<{ authorization: string | undefined; ok: boolean }>([
    { authorization: "Bearer $", ok: true },
    { authorization: "bearer $", ok: true },
    { authorization: "Bearer  $ ", ok: true },
    { authorization: "Basic $", ok: false },
    { authorization: "$", ok: false },
    { authorization: "Bearer", ok: false },
    { authorization: "Bearer ", ok: false },
    { authorization: "Bearer $, Bearer $", ok: false },
    { authorization: undefined, ok: false },
  ])("reads credentials from headers: $authorization -> $ok", ({ authorization, ok }) => {
    const { identities } = setUp();
    const { identity, token } = identities.issue({ selfId: "a" });
    const value = authorization?.replaceAll("$", token);
    const node = { "x-plugin-runtime-id": identity.runtimeId, authorization: value };
    const fetched = new Headers({
      "X-Plugin-Runtime-ID": identity.runtimeId,
      ...(value ? { authorization: value } : {}),
    });
    const results = [node, fetched].map((headers) => {
      try {
        return identities.authenticate(headers) === identity;
      } catch {
        return false;
      }
    });
    expect(results).toEqual([ok, ok]);
  });

  it("takes a header named get for a header", () => {
    const { identities } = setUp();
    expect(() => identities.authenticate({ get: "x" })).toThrow(ConnectError);
  });

  it("expires by its one timer, and leaves none behind", async () => {
    const { clock, identities } = setUp();
    const ends: string[] = [];
    identities.onEnd(({ selfId }, reason) => ends.push(`${selfId} ${reason}`));
    identities.issue({ selfId: "a" });
    await clock.advance(400);
    identities.issue({ selfId: "b" });
    expect(clock.pending).toBe(1);
    await clock.advance(600);
    expect(ends).toEqual(["a expired"]);
    expect(clock.pending).toBe(1);
    await clock.advance(400);
    expect(ends).toEqual(["a expired", "b expired"]);
    expect(identities.size).toBe(0);
    expect(clock.pending).toBe(0);
    identities.issue({ selfId: "c" });
    await clock.advance(1_000);
    expect(ends).toEqual(["a expired", "b expired", "c expired"]);
  });

  it("expires those not renewed in time, though others were", async () => {
    const { clock, identities } = setUp();
    const renewed = identities.issue({ selfId: "renewed" });
    await clock.advance(300);
    const forgotten = identities.issue({ selfId: "forgotten" });
    await clock.advance(100);
    identities.renew(renewed.identity.runtimeId);
    await clock.advance(900);
    expect(forgotten.identity.ended.aborted).toBe(true);
    expect(renewed.identity.ended.aborted).toBe(false);
  });

  it.each<{ name: string; call: (identities: IdentityRegistry, issued: IssuedIdentity) => unknown }>([
    { name: "verify", call: (identities, { identity, token }) => identities.verify(identity.runtimeId, token) },
    { name: "renew", call: (identities, { identity }) => identities.renew(identity.runtimeId) },
    { name: "revoke", call: (identities, { identity }) => identities.revoke(identity.runtimeId) },
    { name: "get", call: (identities, { identity }) => identities.get(identity.runtimeId) },
  ])("does not count on its timer: $name finds an identity expired when its time is over", ({ call }) => {
    let nowMs = 0;
    const late: Clock = { now: () => 0, monotonic: () => nowMs, sleep: () => new Promise(() => {}) };
    const { identities } = setUp({ clock: late });
    const issued = identities.issue({ selfId: "a" });
    nowMs = ttlMs;
    let result: unknown;
    try {
      result = call(identities, issued);
    } catch (error) {
      result = ConnectError.from(error).code;
    }
    expect([undefined, false, Code.Unauthenticated]).toContain(result);
    expect(issued.identity.ended.reason).toMatchObject({ cause: { fault: "expired" } });
  });

  it("stops its timer when the last identity is revoked, and starts it for the next", async () => {
    const { clock, identities } = setUp();
    identities.revoke(identities.issue({ selfId: "a" }).identity.runtimeId);
    await clock.advance(0);
    expect(clock.pending).toBe(0);
    // Revoked and issued in one go: the timer of the first has not noticed yet.
    identities.revoke(identities.issue({ selfId: "a" }).identity.runtimeId);
    identities.issue({ selfId: "b" });
    await clock.advance(999);
    expect([identities.size, clock.pending]).toEqual([1, 1]);
    await clock.advance(1);
    expect([identities.size, clock.pending]).toEqual([0, 0]);
  });

  it("renews by the full time, from now on", async () => {
    const { clock, identities } = setUp();
    const { identity, token } = identities.issue({ selfId: "a" });
    await clock.advance(900);
    expect(identities.renew(identity.runtimeId)).toBe(identity);
    expect(identity.expiresAtMs).toBe(clock.now() + ttlMs);
    await clock.advance(999);
    expect(identities.verify(identity.runtimeId, token)).toBe(identity);
    await clock.advance(1);
    expect(() => identities.renew(identity.runtimeId)).toThrow(ConnectError);
  });

  it("aborts `ended` and calls listeners once, whoever looks when", () => {
    const { identities } = setUp();
    const { identity } = identities.issue({ selfId: "a" });
    const late = identities.issue({ selfId: "b" }).identity;
    const { ended } = identity;
    const heard: ConnectError[] = [];
    const forgotten: ConnectError[] = [];
    identity.onEnd((error) => heard.push(error));
    identity.onEnd((error) => forgotten.push(error))();
    expect(ended.aborted).toBe(false);
    expect(identities.revoke(identity.runtimeId, "superseded")).toBe(true);
    expect(identities.revoke(identity.runtimeId)).toBe(false);
    identities.revoke(late.runtimeId);
    late.onEnd((error) => heard.push(error));
    expect(ended.reason).toMatchObject({ code: Code.Unauthenticated, cause: { fault: "superseded" } });
    expect(late.ended.reason).toMatchObject({ code: Code.Unauthenticated, cause: { fault: "revoked" } });
    expect(heard).toEqual([ended.reason, late.ended.reason]);
    expect(forgotten).toEqual([]);
  });

  it("does not show a token in logs", () => {
    const { identities } = setUp();
    const issued = identities.issue({ selfId: "a" });
    expect(identities.verify(issued.identity.runtimeId, issued.token)).toBe(issued.identity);
    expect(inspect({ issued, identities }, { depth: 9 }) + JSON.stringify(issued)).not.toContain(issued.token);
  });

  it("keeps a listener that throws from harming others", async () => {
    const errors: unknown[] = [];
    const { identities } = setUp({ onError: (error) => errors.push(String(error)) });
    const { identity } = identities.issue({ selfId: "a" });
    const ends: string[] = [];
    identity.onEnd(() => {
      throw new Error("thrown by own");
    });
    identity.onEnd(() => ends.push("own"));
    identities.onEnd(() => {
      throw new Error("thrown by all");
    });
    const rejects: () => unknown = () => Promise.reject(new Error("rejected"));
    const asynchronous = identities.onEnd(rejects);
    const stop = identities.onEnd((_identity, reason) => ends.push(reason));
    identities.revoke(identity.runtimeId);
    await Promise.resolve();
    asynchronous();
    expect([errors, ends]).toEqual([
      ["Error: thrown by own", "Error: thrown by all", "Error: rejected"],
      ["own", "revoked"],
    ]);
    stop();
    identities.revoke(identities.issue({ selfId: "a" }).identity.runtimeId);
    expect(ends).toEqual(["own", "revoked"]);
  });

  it("makes room by the oldest that was never used", () => {
    const { identities } = setUp({ maxIdentities: 3 });
    const [used, oldest, newer] = ["used", "oldest", "newer"].map((selfId) => identities.issue({ selfId }));
    identities.verify(used?.identity.runtimeId ?? "", used?.token ?? "");
    identities.issue({ selfId: "d" });
    expect(identities.size).toBe(3);
    expect(oldest?.identity.ended.reason).toMatchObject({ cause: { fault: "evicted" } });
    expect([used?.identity.ended.aborted, newer?.identity.ended.aborted]).toEqual([false, false]);
  });

  it("refuses with a retry delay when all identities are in use, and again takes one once there is room", async () => {
    const { clock, identities } = setUp({ maxIdentities: 2 });
    for (const selfId of ["a", "b"]) {
      const { identity, token } = identities.issue({ selfId });
      identities.verify(identity.runtimeId, token);
    }
    await clock.advance(10);
    const error = errorOf(() => identities.issue({ selfId: "c" }));
    expect(error.code).toBe(Code.ResourceExhausted);
    expect(error.metadata.get("retry-after")).toBe("1");
    expect(identities.size).toBe(2);
    await clock.advance(ttlMs);
    expect(identities.issue({ selfId: "c" }).identity.selfId).toBe("c");
  });

  it("bounds what all plugins declare together, and makes room by those never used", () => {
    const declares = { provides: [{ type: "a", version: "1.0.0", path: "/" }], requires: [] };
    const { identities } = setUp({ maxDeclaredBytes: 300 });
    const [used, oldest] = ["used", "oldest"].map((selfId) => identities.issue({ selfId, declares }));
    identities.verify(used?.identity.runtimeId ?? "", used?.token ?? "");
    const newer = identities.issue({ selfId: "newer", declares });
    expect(oldest?.identity.ended.aborted).toBe(true);
    const two = { provides: [...declares.provides, ...declares.provides], requires: [] };
    const error = errorOf(() => identities.issue({ selfId: "large", declares: two }));
    expect(error.code).toBe(Code.ResourceExhausted);
    expect(error.rawMessage).toContain("300 bytes");
    // It would have been in vain.
    expect(newer.identity.ended.aborted).toBe(false);
    expect(identities.issue({ selfId: "silent" }).identity.selfId).toBe("silent");
    identities.revoke(used?.identity.runtimeId ?? "");
    expect(identities.issue({ selfId: "later", declares }).identity.selfId).toBe("later");
  });

  it("refuses malformed names without a change", () => {
    const { clock, identities } = setUp();
    expect(errorOf(() => identities.issue({ selfId: "a..b" })).code).toBe(Code.InvalidArgument);
    expect(errorOf(() => identities.issue({ selfId: "a", selfVersion: "v".repeat(65) })).code).toBe(
      Code.InvalidArgument,
    );
    expect([identities.size, clock.pending]).toEqual([0, 0]);
  });

  it("ends everything on close", async () => {
    const { clock, identities } = setUp();
    const { identity, token } = identities.issue({ selfId: "a" });
    const reasons: string[] = [];
    identities.onEnd((_identity, reason) => reasons.push(reason));
    identities.close();
    identities.close();
    await clock.advance(0);
    expect(reasons).toEqual(["closed"]);
    expect(identity.ended.aborted).toBe(true);
    expect(clock.pending).toBe(0);
    expect(errorOf(() => identities.issue({ selfId: "a" })).code).toBe(Code.Unavailable);
    expect(errorOf(() => identities.verify(identity.runtimeId, token)).code).toBe(Code.Unauthenticated);
  });

  it.each([{ ttlMs: 0 }, { ttlMs: 1.5 }, { ttlMs: Number.NaN }, { maxIdentities: 0 }, { maxIdentities: 0.5 }])(
    "refuses the option %o",
    (options) => {
      const [name = ""] = Object.keys(options);
      expect(() => createIdentityRegistry(options)).toThrow(new RegExp(name));
    },
  );
});
