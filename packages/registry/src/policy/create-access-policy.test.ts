import { Code, ConnectError } from "@connectrpc/connect";
import type { RuntimeIdentity } from "@cpg/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { providerOf, serviceOf } from "../../test/support/facts.ts";
import { identityOf } from "../../test/support/identity-of.ts";
import { createRegistryStore } from "../state/create-registry-store.ts";
import { AccessDeniedError } from "./access-denied-error.ts";
import type { AccessRequest } from "./access-policy.ts";
import type { AccessRule } from "./access-rule.ts";
import { type AccessDecision, type AccessPolicyOptions, createAccessPolicy } from "./create-access-policy.ts";

const foreign = identityOf("go");
const storage = identityOf("storage", {
  declares: {
    provides: [{ type: "storage", version: "1.0.0" }],
    requires: [{ type: "logger", minVersion: "1.0.0" }],
  },
});
const nothing = identityOf("nothing", { declares: { provides: [], requires: [] } });

const loggerPlugin = identityOf("l", { declares: { provides: [{ type: "logger", version: "1.0.0" }], requires: [] } });

type Case = Partial<AccessRequest> & { readonly identity: RuntimeIdentity };

function request({ action = "call", type = "logger", ...rest }: Case): AccessRequest {
  return { action, type, ...rest };
}

/** A registry in which these providers (self_ids) are registered for "logger". */
function policyOf(options: Partial<AccessPolicyOptions> = {}, loggers: readonly string[] = []) {
  const store = createRegistryStore();
  for (const selfId of loggers) {
    store.register(providerOf(`${selfId}-1`, { selfId }), serviceOf("logger"));
  }
  const policy = createAccessPolicy({ store, ...options });
  const refusal = (asked: Case): ConnectError | undefined => {
    try {
      policy.check(request(asked));
      return undefined;
    } catch (error) {
      return ConnectError.from(error);
    }
  };
  return { refusal, allows: (asked: Case) => refusal(asked) === undefined };
}

describe("without rules", () => {
  const register = { action: "register" } as const;
  it.each<Case & { strict?: boolean; loggers?: string[]; allowed: boolean; of: string }>([
    { of: "a declared type", identity: storage, ...register, type: "storage", version: "1.0.0", allowed: true },
    { of: "another version of it", identity: storage, ...register, type: "storage", version: "2.0.0", allowed: false },
    { of: "an undeclared type", identity: storage, ...register, type: "cache", version: "1.0.0", allowed: false },
    { of: "a required type", identity: storage, ...register, type: "logger", version: "1.0.0", allowed: false },
    { of: "a required type", identity: storage, allowed: true },
    { of: "a required type", identity: storage, action: "watch", allowed: true },
    { of: "a required type", identity: storage, action: "discover", allowed: true },
    { of: "another type", identity: storage, action: "discover", type: "cache", allowed: false },
    { of: "another type", identity: storage, action: "watch", type: "cache", allowed: false },
    { of: "another type", identity: storage, type: "cache", allowed: false },
    { of: "anything, by one that declares that it needs nothing", identity: nothing, allowed: false },
    { of: "anything, by one that declares that it offers nothing", identity: nothing, ...register, allowed: false },
    { of: "anything, by one that cannot declare", identity: foreign, ...register, version: "1.0.0", allowed: true },
    { of: "anything, by one that cannot declare", identity: foreign, allowed: true },
    { of: "anything, by one that cannot declare", identity: foreign, strict: true, allowed: false },
    { of: "a declared type", identity: storage, strict: true, allowed: true },
    { of: "another's type", identity: foreign, ...register, loggers: ["other"], allowed: true },
    { of: "its own type again", identity: foreign, ...register, loggers: ["go", "other"], allowed: true },
    {
      of: "a declared type that another has",
      identity: loggerPlugin,
      ...register,
      version: "1.0.0",
      strict: true,
      loggers: ["other"],
      allowed: false,
    },
    {
      of: "a declared type that it has with another",
      identity: loggerPlugin,
      ...register,
      version: "1.0.0",
      strict: true,
      loggers: ["other", "l"],
      allowed: true,
    },
  ])("$action of $of, strict $strict -> $allowed", ({ allowed, of, strict, loggers, ...asked }) => {
    expect(policyOf({ strict }, loggers).allows(asked)).toBe(allowed);
  });

  it("is strict with what the host manages, unless told otherwise", () => {
    const isManaged = (id: string) => id === "managed-1";
    const managed = identityOf("managed");
    expect(policyOf({ isManaged }).allows({ identity: managed })).toBe(false);
    expect(policyOf({ isManaged }).allows({ identity: foreign })).toBe(true);
    expect(policyOf({ isManaged, strictForManaged: false }).allows({ identity: managed })).toBe(true);
  });

  it("keeps a type of a managed plugin for its self_id", () => {
    const isManaged = (id: string) => id === "managed-1";
    const asked = { identity: foreign, action: "register", version: "1.0.0" } as const;
    expect(policyOf({ isManaged }, ["managed"]).allows(asked)).toBe(false);
    expect(policyOf({ isManaged }, ["other"]).allows(asked)).toBe(true);
    expect(policyOf({ isManaged, strictForManaged: false }, ["managed"]).allows(asked)).toBe(true);
    expect(policyOf({ isManaged }, ["managed"]).allows({ ...asked, identity: identityOf("managed") })).toBe(false);
  });

  it("goes by what the host has learnt of a plugin's declarations", () => {
    const learnt = { provides: [], requires: [{ type: "cache" }] };
    const { allows } = policyOf({ declarationsOf: () => learnt });
    expect(allows({ identity: foreign, type: "cache" })).toBe(true);
    expect(allows({ identity: foreign })).toBe(false);
  });

  it("says in its refusal what is lacking, and the cause says why", () => {
    const refused = policyOf().refusal({ identity: storage, type: "cache" });
    expect(refused?.code).toBe(Code.PermissionDenied);
    expect(refused?.rawMessage).toBe('policy: storage may not call "cache": it did not declare to require it');
    expect(refused?.cause).toBeInstanceOf(AccessDeniedError);
    expect(refused?.cause).toMatchObject({ reason: "undeclared", rule: undefined });
  });
});

describe("rules", () => {
  const get = "/kv.v1.KV/Get";
  it.each<{ rules: AccessRule[]; asked: Case; allowed: boolean }>([
    { rules: [{ effect: "allow", types: ["cache"] }], asked: { identity: storage, type: "cache" }, allowed: true },
    { rules: [{ effect: "allow", types: ["cac*"] }], asked: { identity: storage, type: "cache" }, allowed: true },
    { rules: [{ effect: "allow", types: ["cac"] }], asked: { identity: storage, type: "cache" }, allowed: false },
    { rules: [{ effect: "allow", plugins: ["x"] }], asked: { identity: storage, type: "cache" }, allowed: false },
    { rules: [{ effect: "allow", plugins: ["Storage"] }], asked: { identity: storage, type: "c" }, allowed: false },
    { rules: [{ effect: "deny", plugins: ["go"] }], asked: { identity: foreign }, allowed: false },
    { rules: [{ effect: "deny", exceptPlugins: ["go"] }], asked: { identity: foreign }, allowed: true },
    { rules: [{ effect: "deny", exceptPlugins: ["go"] }], asked: { identity: storage }, allowed: false },
    { rules: [{ effect: "deny", exceptTypes: ["cache"] }], asked: { identity: storage }, allowed: false },
    { rules: [{ effect: "deny", actions: ["watch"] }], asked: { identity: foreign }, allowed: true },
    { rules: [{ effect: "deny", actions: ["watch"] }], asked: { identity: foreign, action: "watch" }, allowed: false },
    { rules: [{ effect: "deny" }, { effect: "allow" }], asked: { identity: foreign }, allowed: false },
    { rules: [{ effect: "allow" }, { effect: "deny" }], asked: { identity: foreign }, allowed: false },
    // By method.
    { rules: [{ effect: "deny", methods: [get] }], asked: { identity: foreign, method: get }, allowed: false },
    {
      rules: [{ effect: "deny", methods: ["/kv.v1.KV/*"] }],
      asked: { identity: foreign, method: get },
      allowed: false,
    },
    {
      rules: [{ effect: "deny", methods: [get] }],
      asked: { identity: foreign, method: "/kv.v1.KV/Put" },
      allowed: true,
    },
    { rules: [{ effect: "deny", exceptMethods: [get] }], asked: { identity: foreign, method: get }, allowed: true },
    { rules: [{ effect: "deny", exceptMethods: [get] }], asked: { identity: foreign, method: "/x" }, allowed: false },
    { rules: [{ effect: "allow", methods: [get] }], asked: { identity: nothing, method: get }, allowed: true },
    { rules: [{ effect: "allow", methods: [get] }], asked: { identity: nothing, method: "/x" }, allowed: false },
    { rules: [{ effect: "allow", exceptMethods: [get] }], asked: { identity: nothing, method: get }, allowed: false },
    // A service as a whole.
    { rules: [{ effect: "deny", methods: [get] }], asked: { identity: foreign }, allowed: true },
    { rules: [{ effect: "deny", methods: ["/*"] }], asked: { identity: foreign, action: "watch" }, allowed: true },
    {
      rules: [{ effect: "deny", exceptMethods: [get] }],
      asked: { identity: foreign, action: "discover" },
      allowed: true,
    },
    { rules: [{ effect: "allow", methods: [get] }], asked: { identity: nothing }, allowed: true },
    { rules: [{ effect: "allow", methods: [get] }], asked: { identity: nothing, action: "discover" }, allowed: true },
    { rules: [{ effect: "allow", methods: [get] }], asked: { identity: nothing, action: "register" }, allowed: false },
    {
      rules: [{ effect: "deny", exceptMethods: [get] }],
      asked: { identity: foreign, action: "register" },
      allowed: true,
    },
    // To join a type that is taken.
    { rules: [{ effect: "allow" }], asked: { identity: foreign, action: "register" }, allowed: true },
  ])("$rules, $asked.action $asked.type $asked.method -> $allowed", ({ rules, asked, allowed }) => {
    expect(policyOf({ rules }).allows(asked)).toBe(allowed);
  });

  it.each([
    "/KV.V1.KV/Delete",
    "/kv.v1.KV/delete/",
    "/kv.v1.KV/Delete;v=1",
    "/kv.v1.KV;v=1/Delete",
    "/kv.v1.KV/%44elete",
    "/kv.v1.KV/%2544elete",
  ])("a method that is denied is denied as %s, and allowed only as it is spelled", (method) => {
    const identity = nothing;
    const denied = policyOf({ rules: [{ effect: "deny", methods: ["/kv.v1.KV/Delete"] }] });
    expect(denied.allows({ identity: foreign, method })).toBe(false);
    const allButOne = policyOf({ rules: [{ effect: "allow", exceptMethods: ["/kv.v1.KV/Delete"] }] });
    expect(allButOne.allows({ identity, method })).toBe(false);
    const allowed = policyOf({ rules: [{ effect: "allow", methods: ["/kv.v1.KV/Delete"] }] });
    expect(allowed.allows({ identity, method })).toBe(false);
    const denyOthers = policyOf({ rules: [{ effect: "deny", exceptMethods: ["/kv.v1.KV/Delete"] }] });
    expect(denyOthers.allows({ identity: foreign, method })).toBe(false);
  });

  it("lets another plugin join a type by a rule, and keeps it then", () => {
    const asked = { identity: identityOf("second"), action: "register", version: "1.0.0" } as const;
    const rules: AccessRule[] = [{ effect: "allow", actions: ["register"], plugins: ["second"], types: ["logger"] }];
    expect(policyOf({ strict: true }, ["first"]).allows(asked)).toBe(false);
    expect(policyOf({ strict: true, rules }, ["first"]).allows(asked)).toBe(true);
  });

  it("mean the same in any order, and a further one that denies never allows more", () => {
    const names = fc.constantFrom("go", "storage", "s*", "cache");
    const rule: fc.Arbitrary<AccessRule> = fc.record(
      {
        effect: fc.constantFrom("allow" as const, "deny" as const),
        plugins: fc.array(names, { minLength: 1, maxLength: 2 }),
        exceptTypes: fc.array(names, { minLength: 1, maxLength: 2 }),
        methods: fc.constantFrom<string[]>([get], ["/kv.v1.KV/*"]),
      },
      { requiredKeys: ["effect"] },
    );
    const asked: fc.Arbitrary<Case> = fc.record({
      identity: fc.constantFrom(foreign, storage, nothing),
      action: fc.constantFrom("register", "discover", "watch", "call"),
      type: fc.constantFrom("logger", "storage", "cache"),
      version: fc.constant("1.0.0"),
      method: fc.constantFrom(undefined, get, "/x"),
    });
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 4 }), asked, rule, (rules, some, more) => {
        const allowed = policyOf({ rules }).allows(some);
        expect(policyOf({ rules: [...rules].reverse() }).allows(some)).toBe(allowed);
        const narrowed = policyOf({ rules: [...rules, { ...more, effect: "deny" }] }).allows(some);
        expect(narrowed && !allowed).toBe(false);
        const denying = rules.some(({ effect }) => effect === "deny");
        const widened = policyOf({ rules: [...rules, { ...more, effect: "allow" }] }).allows(some);
        expect(allowed && !widened && !denying).toBe(false);
      }),
    );
  });

  it("may be functions, of which nothing but a clear answer counts", () => {
    const errors: unknown[] = [];
    const onError = (error: unknown) => void errors.push(error);
    const ask = (rule: () => never, identity = foreign) => policyOf({ rules: [rule], onError }).allows({ identity });
    expect(ask(() => "allow" as never, nothing)).toBe(true);
    expect(ask(() => "deny" as never)).toBe(false);
    expect(ask(() => undefined as never)).toBe(true);
    expect(ask(() => undefined as never, nothing)).toBe(false);
    expect(errors).toEqual([]);
    expect(ask(() => true as never)).toBe(false);
    expect(ask(() => Promise.reject(new Error("late")) as never)).toBe(false);
    expect(
      ask(() => {
        throw new Error("broken");
      }),
    ).toBe(false);
    expect(errors.map(String)).toEqual([
      'TypeError: rules[0] must answer "allow", "deny" or undefined at once',
      'TypeError: rules[0] must answer "allow", "deny" or undefined at once',
      "Error: broken",
    ]);
  });

  it("tell nobody outside which of them denied, or what they threw", () => {
    const rule = () => {
      throw new Error("secret");
    };
    const refused = policyOf({ rules: [{ effect: "deny", name: "hidden", plugins: ["go"] }, rule] });
    const byName = refused.refusal({ identity: foreign });
    expect(byName?.message).not.toContain("hidden");
    expect(byName?.cause).toMatchObject({ reason: "rule", rule: "hidden" });
    const byThrow = refused.refusal({ identity: storage });
    expect(byThrow?.message).not.toContain("secret");
    expect(byThrow?.cause).toMatchObject({ rule: "rules[1]", cause: { message: "secret" } });
  });

  it.each<[rule: object, message: RegExp]>([
    [{}, /rules\[0\]\.effect/],
    [{ effect: "permit" }, /rules\[0\]\.effect/],
    [{ effect: "deny", type: ["a"] }, /rules\[0\] must not have a field "type"/],
    [{ effect: "deny", types: [] }, /rules\[0\]\.types/],
    [{ effect: "deny", types: ["a*b"] }, /rules\[0\]\.types/],
    [{ effect: "deny", plugins: [""] }, /rules\[0\]\.plugins/],
    [{ effect: "deny", actions: [] }, /rules\[0\]\.actions/],
    [{ effect: "deny", actions: ["read"] }, /rules\[0\]\.actions/],
    [{ effect: "deny", methods: ["kv.v1.KV/Get"] }, /rules\[0\]\.methods/],
    [{ effect: "deny", methods: ["/a"], actions: ["register"] }, /"register" has no methods/],
    [JSON.parse("null"), /rules\[0\]/],
  ])("refuses %o", (rule, message) => {
    expect(() => policyOf({ rules: [rule as AccessRule] })).toThrow(message);
  });
});

describe("observers", () => {
  it("hear each decision, and harm none of them", () => {
    const decisions: AccessDecision[] = [];
    const errors: unknown[] = [];
    const { allows } = policyOf({
      rules: [{ effect: "deny", types: ["cache"] }],
      onError: (error) => void errors.push(error),
      onDecision(decision) {
        decisions.push(decision);
        throw new Error("observer");
      },
    });
    expect(allows({ identity: foreign, method: "/x" })).toBe(true);
    expect(allows({ identity: foreign, type: "cache" })).toBe(false);
    expect(decisions).toEqual([
      {
        request: { action: "call", identity: foreign, type: "logger", method: "/x" },
        allowed: true,
        reason: "declares-nothing",
        rule: undefined,
      },
      {
        request: { action: "call", identity: foreign, type: "cache" },
        allowed: false,
        reason: "rule",
        rule: "rules[0]",
      },
    ]);
    expect(errors).toHaveLength(2);
  });
});
