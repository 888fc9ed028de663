import { generateKeyPairSync } from "node:crypto";
import { type AuthEvent, composeAuth, createJwtAuth, createTokenAuth, type JwtAuthOptions } from "@cpg/auth";
import { FakeClock } from "@cpg/resilience/testing";
import * as jose from "jose";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { admitted, callBoth, guardedService, refused } from "./support/guarded-service.ts";
import { createSigningKey, sign } from "./support/issuer.ts";

vi.mock("jose", async (load) => {
  const real = await load<typeof import("jose")>();
  return { ...real, jwtVerify: vi.fn(real.jwtVerify) };
});
const verifications = vi.mocked(jose.jwtVerify).mock;
beforeEach(() => {
  vi.mocked(jose.jwtVerify).mockClear();
});

const [key, other] = await Promise.all([createSigningKey("k1"), createSigningKey("k2")]);
const keys = { jwks: { keys: [key.jwk] } };
const expectations = { issuer: "https://issuer.test", audience: "kv" };

function open(options: Partial<JwtAuthOptions> = {}) {
  const clock = new FakeClock();
  const events: AuthEvent[] = [];
  const auth = createJwtAuth({ keys, ...expectations, clock, onEvent: (event) => events.push(event), ...options });
  const service = guardedService({ server: [auth.serverInterceptor()] });
  return {
    clock,
    events,
    ...service,
    call: (token: string) => callBoth(service, { authorization: `Bearer ${token}` }),
  };
}

describe("a signed token", () => {
  it("says who calls, with its claims", async () => {
    const { clock, call, seen } = open();
    expect(await call(await sign(key, clock, { role: "admin" }))).toEqual(admitted);
    expect(seen[0]).toMatchObject({ identity: "ann", provider: "jwt", claims: { role: "admin", aud: "kv" } });
  });

  it.each<[string, Record<string, unknown>, string]>([
    ["has expired", { exp: 1_699_999_994 }, "the token has expired"],
    ["never ends", { exp: undefined }, "claim exp: missing"],
    ["is not valid yet", { nbf: 1_700_000_006 }, "claim nbf: check_failed"],
    ["comes from another issuer", { iss: "https://evil.test" }, "claim iss: check_failed"],
    ["has no issuer", { iss: undefined }, "claim iss: missing"],
    ["is for somebody else", { aud: "mail" }, "claim aud: check_failed"],
    ["is for nobody", { aud: undefined }, "claim aud: missing"],
    ["names nobody", { sub: undefined }, "claim sub: missing"],
    ["names an empty subject", { sub: "" }, "the token names nobody"],
  ])("that %s is refused", async (_, claims, reason) => {
    const { clock, call, events } = open();
    expect(await call(await sign(key, clock, claims))).toEqual(refused);
    expect(events[0]).toMatchObject({ kind: "refused", reason });
  });

  it.each<[string, Record<string, unknown>]>([
    ["ended less than clockSkewMs ago", { exp: 1_699_999_996 }],
    ["begins in less than clockSkewMs", { nbf: 1_700_000_004 }],
    ["is for several, one of them us", { aud: ["mail", "kv"] }],
  ])("that %s is taken", async (_, claims) => {
    const { clock, call } = open();
    expect(await call(await sign(key, clock, claims))).toEqual(admitted);
  });

  it("whose signature, key or algorithm is another is refused", async () => {
    const { clock, call, events } = open();
    const good = await sign(key, clock);
    const [head = "", body = "", signature = ""] = good.split(".");
    const forged = Buffer.from(
      JSON.stringify({ ...JSON.parse(Buffer.from(body, "base64url").toString()), sub: "root" }),
    );
    const none = Buffer.from('{"alg":"none"}').toString("base64url");
    const publicKey = await jose.importJWK(key.jwk, "ES256");
    const pem = await jose.exportSPKI(publicKey as Parameters<typeof jose.exportSPKI>[0]);
    const confused = await new jose.SignJWT({ sub: "root" })
      .setProtectedHeader({ alg: "HS256", kid: "k1" })
      .sign(new TextEncoder().encode(pem));
    const tokens = [
      `${head}.${forged.toString("base64url")}.${signature}`,
      await sign(other, clock, {}, { kid: "k1" }),
      await sign(other, clock),
      `${none}.${body}.`,
      confused,
      "a.b.c",
    ];
    for (const token of tokens) expect(await call(token)).toEqual(refused);
    expect(events.filter((_, index) => index % 2 === 0).map((event) => "reason" in event && event.reason)).toEqual([
      "the signature does not hold",
      "the signature does not hold",
      "no key of that id",
      "the algorithm is not allowed",
      "the algorithm is not allowed",
      "the token is malformed",
    ]);
  });

  it("is looked at by the claim or function that says who it is", async () => {
    const byClaim = open({ identity: "email" });
    expect(await byClaim.call(await sign(key, byClaim.clock, { email: "ann@x.test" }))).toEqual(admitted);
    expect(byClaim.seen[0]?.identity).toBe("ann@x.test");
    expect(await byClaim.call(await sign(key, byClaim.clock))).toEqual(refused);
    const byFunction = open({ identity: ({ iss, sub }) => `${iss}#${sub}` });
    expect(await byFunction.call(await sign(key, byFunction.clock))).toEqual(admitted);
    expect(byFunction.seen[0]?.identity).toBe("https://issuer.test#ann");
  });

  it("has to have the claims that are required, and not be too old", async () => {
    const { clock, call } = open({ requiredClaims: ["jti"], maxTokenAgeMs: 60_000 });
    expect(await call(await sign(key, clock))).toEqual(refused);
    expect(await call(await sign(key, clock, { jti: "1" }))).toEqual(admitted);
    expect(await call(await sign(key, clock, { jti: "1", iat: 1_699_999_934 }))).toEqual(refused);
    expect(await call(await sign(key, clock, { jti: "1", iat: undefined }))).toEqual(refused);
  });

  it("works with a public key, and with a secret", async () => {
    const pair = generateKeyPairSync("ed25519");
    const ed = open({ keys: { publicKey: pair.publicKey }, algorithms: ["EdDSA"] });
    const claims = { iss: "https://issuer.test", aud: "kv", sub: "ann", exp: 1_700_000_100 };
    const signed = await new jose.SignJWT(claims).setProtectedHeader({ alg: "EdDSA" }).sign(pair.privateKey);
    expect(await ed.call(signed)).toEqual(admitted);
    const secret = "0123456789abcdef0123456789abcdef";
    const hs = open({ keys: { secret } });
    const mac = await new jose.SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(Buffer.from(secret));
    expect(await hs.call(mac)).toEqual(admitted);
  });

  it("follows local keys that are exchanged", async () => {
    let jwks = { keys: [key.jwk] };
    const { clock, call } = open({ keys: { jwks: () => jwks }, maxCacheMs: 0 });
    expect(await call(await sign(key, clock))).toEqual(admitted);
    expect(await call(await sign(other, clock))).toEqual(refused);
    jwks = { keys: [other.jwk] };
    expect(await call(await sign(other, clock))).toEqual(admitted);
    expect(await call(await sign(key, clock))).toEqual(refused);
  });
});

describe("a verified token", () => {
  it("is verified once, however many calls bring it, together and later", async () => {
    const { clock, client } = open();
    const token = await sign(key, clock);
    const headers = { authorization: `Bearer ${token}` };
    await Promise.all(Array.from({ length: 50 }, () => client.check({}, { headers })));
    await client.check({}, { headers });
    for (const spelled of [`bearer ${token}`, `BEARER  ${token}`]) {
      await client.check({}, { headers: { authorization: spelled } });
    }
    expect(verifications.calls).toHaveLength(1);
  });

  it("counts no longer when it ends, whatever the cache says", async () => {
    const { clock, call } = open({ clockSkewMs: 0, maxCacheMs: 86_400_000 });
    const token = await sign(key, clock, { exp: 1_700_000_010 });
    await clock.advance(9_999);
    expect(await call(token)).toEqual(admitted);
    await clock.advance(1);
    expect(await call(token)).toEqual(refused);
  });

  it("is verified again after maxCacheMs", async () => {
    const { clock, client } = open({ maxCacheMs: 1_000 });
    const headers = { authorization: `Bearer ${await sign(key, clock)}` };
    await client.check({}, { headers });
    await clock.advance(999);
    await client.check({}, { headers });
    expect(verifications.calls).toHaveLength(1);
    await clock.advance(1);
    await client.check({}, { headers });
    expect(verifications.calls).toHaveLength(2);
  });

  it("is one of at most maxCachedTokens that are kept", async () => {
    const { clock, client } = open({ maxCachedTokens: 2 });
    const tokens = await Promise.all([1, 2, 3].map((jti) => sign(key, clock, { jti: String(jti) })));
    const check = (token = "") => client.check({}, { headers: { authorization: `Bearer ${token}` } });
    for (const token of tokens) await check(token);
    expect(verifications.calls).toHaveLength(3);
    await check(tokens[2]);
    await check(tokens[1]);
    expect(verifications.calls).toHaveLength(3);
    await check(tokens[0]);
    expect(verifications.calls).toHaveLength(4);
  });

  it("that was refused is not kept", async () => {
    const { clock, call } = open();
    const token = await sign(key, clock, { nbf: 1_700_000_060 });
    expect(await call(token)).toEqual(refused);
    await clock.advance(60_000);
    expect(await call(token)).toEqual(admitted);
  });
});

it("leaves what is no JWT to another provider of the same place", async () => {
  const clock = new FakeClock();
  const jwt = createJwtAuth({ keys, ...expectations, clock });
  const token = createTokenAuth({ keys: [{ identity: "ci", value: "opaque" }] });
  const service = guardedService({ server: [composeAuth([jwt, token]).serverInterceptor()] });
  const bearer = (value: string) => ({ authorization: `Bearer ${value}` });
  expect(await callBoth(service, bearer("opaque"))).toEqual(admitted);
  expect(await callBoth(service, bearer(await sign(key, clock)))).toEqual(admitted);
  expect(await callBoth(service, bearer(await sign(other, clock)))).toEqual(refused);
  expect(service.seen.map((auth) => auth?.provider)).toEqual(["token", "token", "jwt", "jwt"]);
});

it("is sent by a client, whose source is asked again when a server refuses it", async () => {
  const { clock } = open();
  const tokens = [await sign(other, clock), await sign(key, clock)];
  const server = createJwtAuth({ keys, ...expectations, clock });
  const client = createJwtAuth({ credential: () => tokens.shift() ?? "", clock });
  const service = guardedService({ server: [server.serverInterceptor()], client: [client.clientInterceptor()] });
  await service.client.check({});
  expect(service.seen).toHaveLength(1);
});

it.each<[string, Partial<JwtAuthOptions>, RegExp]>([
  ["issuer", { issuer: undefined }, /^issuer must name/],
  ["audience", { audience: [] }, /^audience must name/],
  ["no algorithm", { algorithms: [] }, /^algorithms must hold/],
  ["the algorithm none", { algorithms: ["none"] }, /^algorithms must be of RS256.* got "none"$/],
  ["a secret's algorithm with public keys", { algorithms: ["HS256"] }, /^algorithms must be of RS256/],
  ["a short secret", { keys: { secret: "short" } }, /^keys\.secret must have at least 32 bytes, has 5$/],
  ["a private key", { keys: { publicKey: generateKeyPairSync("ed25519").privateKey } }, /^keys\.publicKey must be/],
  ["keys of no kind", { keys: {} as { secret: string } }, /^keys must have url/],
  ["a URL that is none", { keys: { url: "keys" } }, /^keys\.url must be an absolute URL/],
  ["a URL in cleartext", { keys: { url: "http://issuer.test/keys" } }, /^keys\.url must be https/],
  ["a URL with credentials", { keys: { url: "https://u:p@issuer.test/keys" } }, /^keys\.url must not hold/],
  ["cooldownMs", { keys: { url: "https://issuer.test", cooldownMs: 0 } }, /^cooldownMs must/],
  ["maxStaleMs", { keys: { url: "https://issuer.test", maxStaleMs: 1 } }, /^maxStaleMs must/],
  ["clockSkewMs", { clockSkewMs: -1 }, /^clockSkewMs must/],
  ["maxTokenAgeMs", { maxTokenAgeMs: 0 }, /^maxTokenAgeMs must/],
  ["maxCachedTokens", { maxCachedTokens: 1.5 }, /^maxCachedTokens must/],
  ["maxCacheMs", { maxCacheMs: Number.NaN }, /^maxCacheMs must/],
  ["name", { name: "" }, /^name must/],
])("refuses bad options: %s", (_, options, message) => {
  expect(() => createJwtAuth({ keys, ...expectations, ...options })).toThrow(message);
});

it("refuses to be used on a side for which it has nothing", () => {
  expect(() => createJwtAuth({ credential: "x" }).serverInterceptor()).toThrow(/^keys must be given/);
  expect(() => createJwtAuth({ keys, ...expectations }).clientInterceptor()).toThrow(/^credential must be given/);
});
