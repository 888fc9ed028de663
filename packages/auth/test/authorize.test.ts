import { Code } from "@connectrpc/connect";
import {
  type AuthorizationDecision,
  type AuthorizationRule,
  type AuthorizeOptions,
  authorize,
  createTokenAuth,
} from "@cpg/auth";
import { describe, expect, it } from "vitest";
import { admitted, callBoth, denied, guardedService, refused } from "./support/guarded-service.ts";

const check = "connectplugin.health.v1.HealthService/Check";
const watch = "connectplugin.health.v1.HealthService/Watch";
const token = createTokenAuth({
  keys: [
    {
      identity: "ann",
      value: "ann",
      claims: { role: "admin", groups: ["dev", "ops"], scope: "read write", title: "evil admin", level: 7 },
    },
    { identity: "bob", value: "bob" },
  ],
});

function open(options: AuthorizeOptions) {
  return guardedService({ server: [token.serverInterceptor({ optional: true }), authorize(options)] });
}
const as = (who: "ann" | "bob" | "nobody") => (who === "nobody" ? {} : { authorization: `Bearer ${who}` });

describe("authorize", () => {
  it.each<[string, readonly AuthorizationRule[], "ann" | "bob" | "nobody", (Code | undefined)[]]>([
    ["no rule", [], "ann", denied],
    ["no rule, for nobody", [], "nobody", refused],
    ["all methods", [{ name: "all" }], "bob", admitted],
    ["all methods, for nobody", [{ name: "all" }], "nobody", refused],
    ["anonymous", [{ name: "open", anonymous: true }], "nobody", admitted],
    ["one method", [{ name: "r", methods: [check] }], "bob", [undefined, Code.PermissionDenied]],
    ["one service", [{ name: "r", methods: ["connectplugin.health.v1.HealthService/*"] }], "bob", admitted],
    ["one package", [{ name: "r", methods: ["connectplugin.health.*"] }], "bob", admitted],
    ["another package of that prefix", [{ name: "r", methods: ["connectplugin.heal.*"] }], "bob", denied],
    ["another service", [{ name: "r", methods: ["connectplugin.health.v1.Health/*"] }], "bob", denied],
    ["an identity", [{ name: "r", identities: ["ann"] }], "ann", admitted],
    ["another identity", [{ name: "r", identities: ["ann"] }], "bob", denied],
    ["an identity by function", [{ name: "r", identities: [(id) => id.startsWith("a")] }], "ann", admitted],
    ["a claim", [{ name: "r", claims: { role: "admin", level: 7 } }], "ann", admitted],
    ["a claim in a list", [{ name: "r", claims: { groups: "ops" } }], "ann", admitted],
    ["a claim in a scope", [{ name: "r", claims: { scope: "write" } }], "ann", admitted],
    ["a word of a claim that is a text", [{ name: "r", claims: { title: "admin" } }], "ann", denied],
    ["a claim by function", [{ name: "r", claims: { level: (level) => Number(level) > 5 } }], "ann", admitted],
    ["one claim of two", [{ name: "r", claims: { role: "admin", groups: "hr" } }], "ann", denied],
    [
      "a claim that nobody made",
      [{ name: "r", claims: { toString: (claim: unknown) => claim !== undefined } }],
      "bob",
      denied,
    ],
    ["deny before allow", [{ name: "no", effect: "deny", identities: ["bob"] }, { name: "all" }], "bob", denied],
    ["allow before deny", [{ name: "all" }, { name: "no", effect: "deny", identities: ["bob"] }], "bob", admitted],
    [
      "deny for all, nobody too",
      [
        { name: "no", effect: "deny" },
        { name: "open", anonymous: true },
      ],
      "nobody",
      refused,
    ],
    [
      "a function that throws",
      [
        {
          name: "r",
          identities: [
            () => {
              throw new Error("secret");
            },
          ],
        },
        { name: "all" },
      ],
      "ann",
      denied,
    ],
    [
      "a function that gives a promise",
      [{ name: "r", identities: [(async () => true) as () => never] }],
      "ann",
      denied,
    ],
  ])("%s", async (_, rules, who, codes) => {
    expect(await callBoth(open({ rules }), as(who))).toEqual(codes);
  });

  it("may allow the rest to somebody, never to nobody", async () => {
    const service = open({ rules: [], otherwise: "allow" });
    expect(await callBoth(service, as("bob"))).toEqual(admitted);
    expect(await callBoth(service)).toEqual(refused);
  });

  it("reports every decision: who, what, by which rule, allowed or not", async () => {
    const decisions: AuthorizationDecision[] = [];
    const onDecision = (decision: AuthorizationDecision) => {
      decisions.push(decision);
      throw new Error("listener");
    };
    const service = open({ rules: [{ name: "ann may check", identities: ["ann"], methods: [check] }], onDecision });
    await callBoth(service, as("ann"));
    await callBoth(service);
    const ann = { identity: "ann", provider: "token" };
    const nobody = { identity: undefined, provider: undefined };
    expect(decisions).toEqual([
      { ...ann, allowed: true, method: check, rule: "ann may check" },
      { ...ann, allowed: false, method: watch, rule: undefined },
      { ...nobody, allowed: false, method: check, rule: undefined },
      { ...nobody, allowed: false, method: watch, rule: undefined },
    ]);
  });

  it.each<[string, AuthorizeOptions, string]>([
    ["otherwise", { rules: [], otherwise: "maybe" as "allow" }, 'otherwise must be "allow" or "deny"'],
    ["name", { rules: [{ name: "" }] }, "rules[0].name must not be empty"],
    ["effect", { rules: [{ name: "r", effect: "no" as "deny" }] }, "rule r: effect must be"],
    ["methods", { rules: [{ name: "r", methods: ["a b"] }] }, "rule r: methods must be"],
    ["anonymous", { rules: [{ name: "r", anonymous: true, identities: ["x"] }] }, "rule r: anonymous does not go"],
  ])("refuses bad %s, naming it", (_, options, message) => {
    expect(() => authorize(options)).toThrow(message);
  });
});

it("a claim whose wanted value is missing is an error, not a match for all who lack the claim", () => {
  const claims = JSON.parse('{"role":null}') as Record<string, string>;
  expect(() => authorize({ rules: [{ name: "r", claims }] })).toThrow(/^rule r: claims\.role must be/);
  const unset = { role: process.env.NO_SUCH_SETTING } as Record<string, string>;
  expect(() => authorize({ rules: [{ name: "r", claims: unset }] })).toThrow(/^rule r: claims\.role must be/);
});
