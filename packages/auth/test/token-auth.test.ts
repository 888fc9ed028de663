import { createHash } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { type AuthEvent, createApiKeyAuth, createTokenAuth, type TokenAuthOptions } from "@cpg/auth";
import { type Peer, verifiedIdentityKey } from "@cpg/resilience";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { admitted, callBoth, guardedService, refused } from "./support/guarded-service.ts";

const compared = vi.hoisted(() => ({ lengths: [] as number[] }));
vi.mock("node:crypto", async (load) => {
  const crypto = await load<typeof import("node:crypto")>();
  return {
    ...crypto,
    timingSafeEqual(a: Buffer, b: Buffer) {
      compared.lengths.push(a.byteLength, b.byteLength);
      return crypto.timingSafeEqual(a, b);
    },
  };
});
beforeEach(() => {
  compared.lengths = [];
});

const token = "correct-horse-battery-staple";
const sha256 = createHash("sha256").update(token).digest("hex");
const bearer = (value: string) => ({ authorization: `Bearer ${value}` });
const key = { identity: "ann", claims: { role: "admin" }, value: token };

describe("a token on a server", () => {
  it.each<[string, TokenAuthOptions]>([
    ["a key", { keys: [{ identity: "bob", value: "another" }, key] }],
    ["the hash of a key", { keys: [{ identity: "ann", claims: { role: "admin" }, sha256 }] }],
    ["a verifier", { verify: (value) => (value === token ? key : undefined) }],
    ["an asynchronous verifier", { verify: async (value) => (value === token ? key : undefined) }],
    ["a key, before the verifier", { keys: [key], verify: () => Promise.reject(new Error("not asked")) }],
  ])("is recognised by %s, in unary and streaming calls", async (_, options) => {
    const service = guardedService({ server: [createTokenAuth(options).serverInterceptor()] });
    expect(await callBoth(service, bearer(token))).toEqual(admitted);
    const auth = { identity: "ann", claims: { role: "admin" }, provider: "token" };
    expect(service.seen).toEqual([auth, auth]);
  });

  it.each<[string, Record<string, string>, AuthEvent["kind"], string | undefined]>([
    ["is missing", {}, "absent", undefined],
    ["stands behind another scheme", { authorization: `Basic ${token}` }, "absent", undefined],
    ["stands behind a longer scheme", { authorization: `Bearerx ${token}` }, "absent", undefined],
    ["is unknown", bearer("wrong"), "refused", "unknown credential"],
    ["is empty", { authorization: "Bearer" }, "refused", "the credential is missing"],
    ["is two tokens", bearer(`${token}, ${token}`), "refused", "the credential is malformed"],
    ["holds a space", bearer(`${token} x`), "refused", "the credential is malformed"],
    ["is too long", bearer("x".repeat(16_385)), "refused", "the credential is too long"],
  ])("that %s ends the call as any other; only the event says why", async (_, headers, kind, reason) => {
    const events: AuthEvent[] = [];
    const auth = createTokenAuth({ keys: [key], onEvent: (event) => events.push(event) });
    const service = guardedService({ server: [auth.serverInterceptor()] });
    expect(await callBoth(service, headers)).toEqual(refused);
    expect(service.seen).toEqual([]);
    expect(events[0]).toMatchObject({ kind, path: "/connectplugin.health.v1.HealthService/Check" });
    expect(events.map((event) => ("reason" in event ? event.reason : undefined))).toEqual([reason, reason]);
    const error = ConnectError.from(await service.client.check({}, { headers }).catch((thrown: unknown) => thrown));
    expect(error.rawMessage).toBe("the call carries no valid credential");
  });

  it("may be missing when it is optional, and must not be wrong", async () => {
    const service = guardedService({
      server: [createTokenAuth({ keys: [key] }).serverInterceptor({ optional: true })],
    });
    expect(await callBoth(service)).toEqual(admitted);
    expect(service.seen).toEqual([undefined, undefined]);
    expect(await callBoth(service, bearer("wrong"))).toEqual(refused);
  });

  it.each<[string, TokenAuthOptions["verify"], Code]>([
    [
      "throws",
      () => {
        throw new Error(`no ${token}`);
      },
      Code.Unauthenticated,
    ],
    ["rejects", () => Promise.reject(new Error(`no ${token}`)), Code.Unauthenticated],
    ["names nobody", () => ({ identity: "" }), Code.Unauthenticated],
    ["cannot tell now", () => Promise.reject(new ConnectError("database down", Code.Unavailable)), Code.Unavailable],
    [
      "cannot tell now, at once",
      () => {
        throw new ConnectError("database down", Code.Unavailable);
      },
      Code.Unavailable,
    ],
  ])("is refused when the verifier %s, without a word of it", async (_, verify, code) => {
    const events: AuthEvent[] = [];
    const auth = createTokenAuth({ verify, onEvent: (event) => events.push(event) });
    const service = guardedService({ server: [auth.serverInterceptor()] });
    const failure = await service.client.check({}, { headers: bearer(token) }).catch((thrown: unknown) => thrown);
    expect(ConnectError.from(failure).code).toBe(code);
    expect(JSON.stringify([String(failure), events])).not.toMatch(/battery|database/);
  });

  it("tells what keys by identity, such as a rate limit", async () => {
    const ids: unknown[] = [];
    const service = guardedService({
      server: [
        createTokenAuth({ keys: [key] }).serverInterceptor(),
        (next) => (request) => {
          ids.push(request.contextValues.get(verifiedIdentityKey));
          return next(request);
        },
      ],
    });
    await callBoth(service, bearer(token));
    expect(ids[0]).toEqual({ id: "ann", source: "token" });
  });

  it("is compared in constant time as a hash, with every key, wherever it differs and whatever its length", async () => {
    const keys = [key, { identity: "bob", value: "another" }];
    const service = guardedService({ server: [createTokenAuth({ keys }).serverInterceptor()] });
    for (const wrong of [`X${token.slice(1)}`, `${token.slice(0, -1)}X`, "short", "x".repeat(1_000)]) {
      compared.lengths = [];
      await service.client.check({}, { headers: bearer(wrong) }).catch(() => {});
      expect(compared.lengths).toEqual([32, 32, 32, 32]);
    }
  });

  it("is compared with the one that its connection proved before, in constant time, and others as ever", async () => {
    const peer: Peer = { network: "tcp", address: "127.0.0.1", port: 1, tls: undefined };
    const service = guardedService({ server: [createTokenAuth({ keys: [key] }).serverInterceptor()], peer });
    expect(await callBoth(service, bearer(token))).toEqual(admitted);
    const { length } = bearer(token).authorization;
    expect(compared.lengths).toEqual([32, 32, length, length]);
    for (const wrong of [`X${token.slice(1)}`, `${token.slice(0, -1)}X`, "short"]) {
      expect(await callBoth(service, bearer(wrong))).toEqual(refused);
    }
    expect(await callBoth(service, bearer(token))).toEqual(admitted);
  });
});

describe("an API key", () => {
  it("stands in x-api-key, alone", async () => {
    const service = guardedService({ server: [createApiKeyAuth({ keys: [key] }).serverInterceptor()] });
    expect(await callBoth(service, { "X-API-Key": token })).toEqual(admitted);
    expect(service.seen[0]?.provider).toBe("api-key");
    expect(await callBoth(service, bearer(token))).toEqual(refused);
  });

  it("stands where it is told to", async () => {
    const options = { header: "X-Tenant", prefix: "Key", name: "tenant" };
    const server = createApiKeyAuth({ ...options, keys: [key] });
    const client = createApiKeyAuth({ ...options, credential: token });
    const service = guardedService({ server: [server.serverInterceptor()], client: [client.clientInterceptor()] });
    expect(await callBoth(service)).toEqual(admitted);
    expect(server).toMatchObject({ name: "tenant", place: "header x-tenant" });
    expect(
      await callBoth(guardedService({ server: [server.serverInterceptor()] }), { "x-tenant": `KEY ${token}` }),
    ).toEqual(admitted);
  });
});

it.each<[string, TokenAuthOptions, RegExp]>([
  ["header", { header: "a b" }, /^header must/],
  ["prefix", { prefix: "a b" }, /^prefix must/],
  ["name", { name: "" }, /^name must/],
  ["credential", { credential: "a,b" }, /^credential must/],
  ["keys without identity", { keys: [{ identity: "", value: "x" }] }, /^keys\[0\]\.identity must/],
  ["keys without value", { keys: [{ identity: "x", value: "" }] }, /^keys\[0\]\.value must/],
  ["keys with a bad hash", { keys: [{ identity: "x", sha256: "abc" }] }, /^keys\[0\]\.sha256 must/],
  ["too many keys", { keys: Array(1_001).fill(key) }, /^keys must hold at most 1000/],
  ["refreshBeforeMs", { credential: "x", refreshBeforeMs: -1 }, /^refreshBeforeMs must/],
  ["sourceTimeoutMs", { credential: "x", sourceTimeoutMs: 0 }, /^sourceTimeoutMs must/],
])("refuses bad options: %s", (_, options, message) => {
  expect(() => createTokenAuth(options)).toThrow(message);
});

it("refuses to be used on a side for which it has nothing", () => {
  expect(() => createTokenAuth({ credential: "x" }).serverInterceptor()).toThrow(/^keys or verify must be given/);
  expect(() => createTokenAuth({ keys: [key] }).clientInterceptor()).toThrow(/^credential must be given/);
});
