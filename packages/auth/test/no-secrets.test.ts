import { createHash, randomBytes } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  authenticated,
  composeAuth,
  createApiKeyAuth,
  createForwardedClientCertAuth,
  createJwtAuth,
  createTokenAuth,
  defineAuthProvider,
} from "@cpg/auth";
import { systemClock } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { guardedService } from "./support/guarded-service.ts";
import { createSigningKey, sign, startKeyServer } from "./support/issuer.ts";
import { callWith, readAll, secretWatches } from "./support/secret-watch.ts";

const watch = secretWatches();

describe.each([
  ["createTokenAuth", createTokenAuth, (value: string) => ({ authorization: `Bearer ${value}` })],
  ["createApiKeyAuth", createApiKeyAuth, (value: string) => ({ "x-api-key": value })],
])("%s", (_, create, headers) => {
  it("tells no credential, right or wrong, whatever becomes of it", async () => {
    const watched = watch();
    const [good, another, hashed, bad] = [watched.secret(), watched.secret(), watched.secret(), watched.secret()];
    const sha256 = createHash("sha256").update(hashed).digest("hex");
    const keys = [
      { identity: "ann", value: good },
      { identity: "bob", value: another },
      { identity: "eve", sha256 },
    ];
    const provider = create({ keys, onEvent: watched.hear });
    for (const value of [good, another, hashed, bad, `${bad},${bad}`, `${bad} x`, bad.repeat(600)]) {
      await callWith(watched, provider, headers(value));
    }
    expect(watched.heard.length).toBeGreaterThan(40);
    expect(watched.leaks()).toEqual([]);
  });

  it("tells nothing of what a verifier throws or returns", async () => {
    const watched = watch();
    const held = watched.secret();
    const bad = watched.secret();
    const failures = [
      () => Promise.reject(new Error(`no ${bad}`)),
      () => Promise.reject(new ConnectError(`down: ${bad}`, Code.Unavailable, { "x-key": bad })),
      () => Promise.reject(new ConnectError(`who is ${bad}`, Code.Internal, undefined, undefined, new Error(bad))),
      () => {
        throw new Error(`no ${bad}`, { cause: bad });
      },
      () => ({ identity: "" }),
      () => undefined,
    ];
    for (const verify of failures) {
      await callWith(watched, create({ verify, keys: [{ identity: "ann", value: held }], onEvent: watched.hear }), {
        ...headers(bad),
      });
    }
    expect(watched.leaks()).toEqual([]);
  });

  it("tells no credential of a client: sent, replaced, refused, expired or malformed", async () => {
    const watched = watch();
    const server = create({ verify: () => undefined, onEvent: watched.hear });
    const clock = new FakeClock();
    const sources = [
      watched.secret(),
      () => watched.secret(),
      async () => ({ value: watched.secret(), expiresAtMs: clock.now() + 1_000 }),
      () => ({ value: watched.secret(), expiresAtMs: clock.now() - 1_000 }),
      () => `${watched.secret()} with spaces`,
      () => ({ value: Buffer.from(watched.secret()) as never }),
    ];
    for (const credential of sources) {
      const provider = create({ credential, clock });
      const { client } = guardedService({
        server: [server.serverInterceptor()],
        client: [provider.clientInterceptor()],
      });
      await watched.try(() => client.check({}));
      await watched.try(() => client.check({}));
      await watched.try(() => readAll(client.watch({})));
      watched.hear(provider);
    }
    await watched.try(() => create({ credential: `${watched.secret()} with spaces` }));
    expect(watched.leaks()).toEqual([]);
  });

  it("tells no credential when options are wrong", async () => {
    const watched = watch();
    const value = watched.secret();
    await watched.try(() => create({ keys: [{ identity: "", value }] }));
    await watched.try(() => create({ keys: [{ identity: "ann", sha256: value }] }));
    await watched.try(() => create({ keys: [{ identity: "ann", value }], prefix: `${value} ${value}` }));
    await watched.try(() => create({ keys: Array.from({ length: 1_001 }, () => ({ identity: "ann", value })) }));
    await watched.try(() => create({ credential: value }).serverInterceptor());
    await watched.try(() => create({ keys: [{ identity: "ann", value }] }).clientInterceptor());
    expect(watched.heard).toHaveLength(6);
    expect(watched.leaks()).toEqual([]);
  });
});

describe("createJwtAuth", () => {
  const claims = { issuer: "https://issuer.test", audience: "kv" };

  it("tells no token, key or claim, whatever becomes of it", async () => {
    const watched = watch();
    const [known, stranger] = [await createSigningKey("k1"), await createSigningKey("k2")];
    const secretClaim = watched.secret();
    const tokens = [
      await sign(known, systemClock),
      await sign(known, systemClock, { sub: "bob", note: secretClaim }),
      await sign(known, systemClock, { exp: 1 }),
      await sign(known, systemClock, { iss: watched.secret() }),
      await sign(known, systemClock, { aud: watched.secret() }),
      await sign(known, systemClock, { sub: undefined }),
      await sign(known, systemClock, { nbf: 9_999_999_999 }),
      await sign(known, systemClock, { exp: watched.secret() }),
      await sign(stranger, systemClock),
      await sign(known, systemClock, {}, { kid: watched.secret() }),
      `${Buffer.from("{}").toString("base64url")}.${watched.secret()}.${watched.secret()}`,
      `${watched.secret()}.${watched.secret()}.${watched.secret()}`,
    ];
    for (const token of tokens) watched.secret(token);
    const provider = createJwtAuth({ ...claims, keys: { jwks: { keys: [known.jwk] } }, onEvent: watched.hear });
    for (const token of tokens) {
      await watched.try(() => callWith(watched, provider, { authorization: `Bearer ${token}` }));
      await callWith(watched, provider, { authorization: `Bearer ${token}x` });
    }
    // Claims are for handlers; nothing else has them.
    expect(watched.leaks().filter((leak) => !provedWith(leak, secretClaim))).toEqual([]);
  });

  it("tells no shared secret", async () => {
    const watched = watch();
    const secret = watched.secret(randomBytes(32).toString("base64url"));
    const short = watched.secret("0123-is-too-short");
    const provider = createJwtAuth({ ...claims, keys: { secret }, onEvent: watched.hear });
    await callWith(watched, provider, { authorization: "Bearer a.b.c" });
    await watched.try(() => createJwtAuth({ ...claims, keys: { secret: short } }));
    await watched.try(() => createJwtAuth({ ...claims, keys: { secret }, algorithms: ["RS256"] }));
    await watched.try(() => createJwtAuth({ audience: "kv", keys: { secret } }));
    await watched.try(() => createJwtAuth({ ...claims, keys: { url: `https://user:${secret}@issuer.test` } }));
    await watched.try(() => createJwtAuth({ ...claims, keys: { url: `ftp://issuer.test/${secret}` } }));
    expect(watched.leaks()).toEqual([]);
  });

  it("tells nothing of what a key server answers", async () => {
    const watched = watch();
    const key = await createSigningKey("k1");
    const token = watched.secret(await sign(key, systemClock));
    await using server = await startKeyServer([key]);
    const answers = [
      () => `{"keys": "${watched.secret()}`,
      () => `{"keys": [{"kty": "oct", "k": "${watched.secret()}", "kid": "k1", "alg": "ES256"}]}`,
      () => JSON.stringify({ keys: watched.secret() }),
      () => watched.secret(),
    ];
    for (const answer of answers) {
      for (const status of [200, 500]) {
        server.serve((response) => {
          response.writeHead(status, { "x-secret": watched.secret() });
          response.end(answer());
        });
        const url = `${server.url}?key=${watched.secret()}`;
        const provider = createJwtAuth({ ...claims, keys: { url }, onEvent: watched.hear });
        await callWith(watched, provider, { authorization: `Bearer ${token}` });
      }
    }
    expect(watched.leaks()).toEqual([]);
  });
});

/** Whether a leak is the outcome of a call that was let in, with this claim. */
function provedWith(leak: unknown, secret: string): boolean {
  const { thing } = leak as { thing: { auth?: { claims: { note?: unknown } } } };
  return thing.auth?.claims.note === secret;
}

describe("several ways at once", () => {
  it("tell no credential of any, in calls and in plain handlers", async () => {
    const watched = watch();
    const [token, key, bad] = [watched.secret(), watched.secret(), watched.secret()];
    const own = defineAuthProvider({
      name: "own",
      place: "header x-own",
      clientInterceptor: () => (next) => next,
      authenticate({ header }) {
        if (header.has("x-own")) throw new Error(`what is ${header.get("x-own")}`);
        return { kind: "absent" };
      },
    });
    const provider = composeAuth(
      [
        createTokenAuth({ keys: [{ identity: "ann", value: token }] }),
        createApiKeyAuth({ keys: [{ identity: "ann", value: key }] }),
        createForwardedClientCertAuth({ identity: "dns", trustedProxies: ["10.0.0.1"] }),
        own,
      ],
      { onEvent: watched.hear },
    );
    const headers = [
      {},
      { authorization: `Bearer ${token}`, "x-api-key": key },
      { authorization: `Bearer ${token}`, "x-api-key": bad },
      { authorization: `Bearer ${bad}`, "x-api-key": key },
      { "x-api-key": key, "x-own": bad },
      { "x-api-key": key, "x-forwarded-client-cert": `Hash=${bad};Subject="${bad}"` },
    ];
    for (const sent of headers) await callWith(watched, provider, sent);
    for (const sent of headers) {
      const answer: unknown[] = [];
      const response = {
        setHeader: (...args: unknown[]) => answer.push(args),
        end: (body: unknown) => answer.push(body),
      };
      authenticated(provider, () => answer.push("handled"), { onEvent: watched.hear, peer: () => undefined })(
        { headers: sent, url: `/path?token=${bad}` } as never,
        response as never,
      );
      watched.hear(answer);
    }
    expect(watched.leaks()).toEqual([]);
  });
});
