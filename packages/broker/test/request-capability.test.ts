import { Code, ConnectError } from "@connectrpc/connect";
import type { RuntimeIdentity } from "@cpg/core";
import { FakeClock } from "@cpg/resilience/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type CapabilityName, defineHttpCapability } from "../src/index.ts";
import {
  askForGrant,
  type BrokerHost,
  type Caller,
  grantTo,
  readGrant,
  startBrokerHost,
} from "./support/broker-host.ts";

const paths = [
  "/connectplugin.v1.CapabilityBroker/RequestCapability",
  "/broker/connectplugin.v1.CapabilityBroker/RequestCapability",
];

function capability(type: string, version: string) {
  return defineHttpCapability((_, response) => void response.end(), { type, version });
}

type Allow = (identity: RuntimeIdentity, capability: CapabilityName, reason: string, signal: AbortSignal) => unknown;

const clock = new FakeClock();
let allow: Allow = () => true;
let host: BrokerHost;
let alice: Caller;
let mallory: Caller;

beforeAll(async () => {
  host = await startBrokerHost({
    clock,
    capabilities: [capability("kv", "1.0.0"), capability("kv", "2.1.0"), capability("kv", "10.0.0-rc.1")],
    // What programs without types answer is not always what they should.
    policy: { allow: (...question) => allow(...question) as boolean },
    limits: { maxPendingDecisions: 2, maxGrantsPerIdentity: 3, decisionMs: 1_000 },
    ttlMs: 60_000,
    maxTtlMs: 120_000,
  });
  mallory = host.admit("mallory");
});
afterAll(() => host[Symbol.asyncDispose]());
beforeEach(() => {
  allow = () => true;
  alice = host.admit("alice");
  host.errors.length = 0;
  host.events.length = 0;
});

describe.each(paths)("RequestCapability at %s", (path) => {
  it.each([
    { of: "no identity", headers: () => ({}) },
    { of: "an id alone", headers: () => ({ "x-plugin-runtime-id": alice.runtimeId }) },
    { of: "a token alone", headers: () => ({ authorization: alice.headers.authorization ?? "" }) },
    {
      of: "another's identity",
      headers: () => ({ ...alice.headers, "x-plugin-runtime-id": mallory.runtimeId }),
    },
    {
      of: "a token that is too long",
      headers: () => ({ ...alice.headers, authorization: `Bearer ${"A".repeat(5_000)}` }),
    },
  ])("refuses a caller with $of, and changes nothing", async ({ headers }) => {
    const before = host.broker.grants();
    const answer = await askForGrant(host, { headers: headers() }, { capabilityType: "kv" }, path);
    expect(answer).toMatchObject({ status: 401, json: { code: "unauthenticated" } });
    expect(host.broker.grants()).toEqual(before);
    expect(host.events).toMatchObject([{ type: "refused", error: { code: Code.Unauthenticated } }]);
    expect(JSON.stringify(host.events)).not.toContain(alice.token);
  });

  it.each([
    { field: "capability_type", question: { capabilityType: "" } },
    { field: "capability_type", question: { capabilityType: "a..b" } },
    { field: "capability_type", question: { capabilityType: "a".repeat(129) } },
    { field: "min_version", question: { capabilityType: "kv", minVersion: "1" } },
    { field: "min_version", question: { capabilityType: "kv", minVersion: "^1.0.0" } },
    { field: "min_version", question: { capabilityType: "kv", minVersion: "1.0.0+build" } },
    { field: "reason", question: { capabilityType: "kv", reason: "x".repeat(257) } },
    { field: "ttl", question: { capabilityType: "kv", ttl: "0s" } },
    { field: "ttl", question: { capabilityType: "kv", ttl: "-1s" } },
  ])("refuses a malformed $field, naming it: $question", async ({ field, question }) => {
    const answer = await askForGrant(host, alice, question, path);
    expect(answer).toMatchObject({
      status: 400,
      json: { code: "invalid_argument", message: expect.stringContaining(field) },
    });
    const asked = { holder: alice.runtimeId, capability: question.capabilityType.slice(0, 256) };
    expect(host.events.slice(-2)).toMatchObject([
      { ...asked, type: "requested" },
      { ...asked, type: "denied", error: { code: 3 } },
    ]);
    expect(host.broker.grants().filter(({ holder }) => holder === alice.runtimeId)).toEqual([]);
  });

  it.each([
    { minVersion: "", granted: "10.0.0-rc.1" },
    { minVersion: "9.0.0", granted: "10.0.0-rc.1" },
    { minVersion: "10.0.0-beta", granted: "10.0.0-rc.1" },
  ])("grants the newest version for at least '$minVersion'", async ({ minVersion, granted }) => {
    const { status, json } = await askForGrant(host, alice, { capabilityType: "kv", minVersion }, path);
    expect(status).toBe(200);
    expect(readGrant(json).version).toBe(granted);
  });

  it.each([
    { capabilityType: "other", minVersion: "" },
    { capabilityType: "kv", minVersion: "10.0.0" },
  ])("has nothing for $capabilityType '$minVersion'", async (question) => {
    expect(await askForGrant(host, alice, question, path)).toMatchObject({ status: 404, json: { code: "not_found" } });
  });
});

describe("the policy of a broker", () => {
  it("is asked with the identity, the capability and the reason", async () => {
    const asked: unknown[] = [];
    allow = (identity, { type, version }, reason) => {
      asked.push([identity.runtimeId, type, version, reason]);
      return true;
    };
    await grantTo(host, alice, { capabilityType: "kv", reason: "to remember" });
    expect(asked).toEqual([[alice.runtimeId, "kv", "10.0.0-rc.1", "to remember"]]);
  });

  const refusals: readonly { readonly of: string; readonly answer: Allow; readonly told: number }[] = [
    { of: "no", answer: () => false, told: 0 },
    { of: "no, later", answer: async () => false, told: 0 },
    { of: "nothing", answer: () => undefined, told: 1 },
    { of: "a word", answer: () => "yes", told: 1 },
    {
      of: "an error",
      answer: () => {
        throw new Error("secret of the policy");
      },
      told: 1,
    },
    { of: "a rejection", answer: () => Promise.reject(new Error("secret of the policy")), told: 1 },
  ];
  it.each(refusals)("denies when it answers $of, and says nothing else", async ({ answer, told }) => {
    allow = answer;
    const { status, json, text } = await askForGrant(host, alice, { capabilityType: "kv" });
    expect({ status, code: json.code }).toEqual({ status: 403, code: "permission_denied" });
    expect(text).not.toContain("secret");
    expect(host.errors).toHaveLength(told);
    expect(host.broker.grants().filter(({ holder }) => holder === alice.runtimeId)).toEqual([]);
    expect(host.events).toMatchObject([
      { type: "requested", holder: alice.runtimeId, capability: "kv", minVersion: "", reason: "" },
      { type: "denied", holder: alice.runtimeId, capability: "kv", error: { code: Code.PermissionDenied } },
    ]);
  });

  it("may say why, with permission_denied", async () => {
    allow = () => {
      throw new ConnectError("only at night", Code.PermissionDenied);
    };
    expect(await askForGrant(host, alice, { capabilityType: "kv" })).toMatchObject({
      status: 403,
      json: { code: "permission_denied", message: "only at night" },
    });
    expect(host.errors).toEqual([]);
  });

  it("denies when it does not answer in time, and its signal aborts", async () => {
    const { promise: asked, resolve } = Promise.withResolvers<AbortSignal>();
    allow = (_, __, ___, signal) => {
      resolve(signal);
      return new Promise(() => {});
    };
    const answer = askForGrant(host, alice, { capabilityType: "kv" });
    const signal = await asked;
    await clock.advance(1_000);
    expect(await answer).toMatchObject({ status: 403, json: { code: "permission_denied" } });
    expect(signal.aborted).toBe(true);
    expect(host.errors).toMatchObject([{ code: Code.DeadlineExceeded }]);
  });

  it("is waited for by a plugin at most so often at a time; another plugin does not notice", async () => {
    const open: ((answer: boolean) => void)[] = [];
    allow = (identity) =>
      identity.selfId === "alice" ? new Promise<boolean>((resolve) => void open.push(resolve)) : true;
    const waiting = [1, 2].map(() => askForGrant(host, alice, { capabilityType: "kv" }));
    await expect.poll(() => open.length).toBe(2);
    const third = await askForGrant(host, alice, { capabilityType: "kv" });
    expect(third).toMatchObject({ status: 429, json: { code: "resource_exhausted" } });
    expect(third.headers["retry-after"]).toBe("1");
    expect((await askForGrant(host, host.admit("bob"), { capabilityType: "kv" })).status).toBe(200);
    for (const resolve of open) resolve(true);
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200]);
    allow = () => true;
    expect((await askForGrant(host, alice, { capabilityType: "kv" })).status).toBe(200);
  });

  it("still counts as waited for when the plugin leaves, until it answers", async () => {
    const signals: AbortSignal[] = [];
    const open: ((answer: boolean) => void)[] = [];
    allow = (_, __, ___, signal) => {
      signals.push(signal);
      return new Promise<boolean>((resolve) => void open.push(resolve));
    };
    const leave = new AbortController();
    const left = [1, 2].map(() =>
      fetch(`${host.endpoint}${paths[0]}`, {
        method: "POST",
        headers: { ...alice.headers, "content-type": "application/json" },
        body: JSON.stringify({ capabilityType: "kv" }),
        signal: leave.signal,
      }).catch(() => {}),
    );
    await expect.poll(() => open.length).toBe(2);
    leave.abort("no patience");
    await Promise.all(left);
    await expect.poll(() => signals.every(({ aborted }) => aborted)).toBe(true);
    expect(await askForGrant(host, alice, { capabilityType: "kv" })).toMatchObject({ status: 429 });
    for (const resolve of open) resolve(true);
    allow = () => true;
    await expect.poll(async () => (await askForGrant(host, alice, { capabilityType: "kv" })).status).toBe(200);
  });

  it("is waited for no longer than its time, also when the plugin left and it never answers", async () => {
    const signals: AbortSignal[] = [];
    allow = (_, __, ___, signal) => {
      signals.push(signal);
      return new Promise(() => {});
    };
    const leave = new AbortController();
    const left = [1, 2].map(() =>
      fetch(`${host.endpoint}${paths[0]}`, {
        method: "POST",
        headers: { ...alice.headers, "content-type": "application/json" },
        body: JSON.stringify({ capabilityType: "kv" }),
        signal: leave.signal,
      }).catch(() => {}),
    );
    await expect.poll(() => signals.length).toBe(2);
    leave.abort("no patience");
    await Promise.all(left);
    await expect.poll(() => signals.every(({ aborted }) => aborted)).toBe(true);
    allow = () => true;
    await clock.advance(1_000);
    await expect.poll(async () => (await askForGrant(host, alice, { capabilityType: "kv" })).status).toBe(200);
  });

  it("gives nothing to a plugin whose identity ends while it thinks", async () => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const { promise: asked, resolve: onAsked } = Promise.withResolvers<void>();
    allow = () => {
      onAsked();
      return promise;
    };
    const answer = askForGrant(host, alice, { capabilityType: "kv" });
    await asked;
    host.server.identities.revoke(alice.runtimeId);
    resolve(true);
    expect(await answer).toMatchObject({ status: 401, json: { code: "unauthenticated" } });
    await expect.poll(() => host.events.at(-1)).toMatchObject({ type: "denied", holder: alice.runtimeId });
    expect(host.broker.grants().filter(({ holder }) => holder === alice.runtimeId)).toEqual([]);
  });
});

describe("the terms of a grant", () => {
  it.each([
    { asked: undefined, ttl: "60s" },
    { asked: "5s", ttl: "5s" },
    { asked: "3600s", ttl: "120s" },
  ])("asked for $asked lives for $ttl, and 120 s at most", async ({ asked, ttl }) => {
    const { json } = await askForGrant(host, alice, { capabilityType: "kv", ...(asked && { ttl: asked }) });
    expect(json.grant).toMatchObject({ ttl, maxTtl: "120s" });
  });

  it("are limited in number for each plugin, with a retry delay", async () => {
    for (const _ of [1, 2, 3]) await grantTo(host, alice, { capabilityType: "kv" });
    const fourth = await askForGrant(host, alice, { capabilityType: "kv" });
    expect(fourth).toMatchObject({ status: 429, json: { code: "resource_exhausted" } });
    expect(Number(fourth.headers["retry-after"])).toBeGreaterThan(0);
    expect((await askForGrant(host, host.admit("bob"), { capabilityType: "kv" })).status).toBe(200);
  });
});
