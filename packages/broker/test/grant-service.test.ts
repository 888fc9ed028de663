import { Code } from "@connectrpc/connect";
import { FakeClock } from "@cpg/resilience/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type CapabilityPolicy, defineCapability, defineHttpCapability } from "../src/index.ts";
import {
  ask,
  type BrokerHost,
  type Caller,
  grantTo,
  type PlainGrant,
  readGrant,
  startBrokerHost,
} from "./support/broker-host.ts";
import { EchoService, echo } from "./support/echo-service.ts";

const clock = new FakeClock();
let allowDerived: NonNullable<CapabilityPolicy["allowDerived"]> = () => true;
let host: BrokerHost;
let alice: Caller;
let bob: Caller;

beforeAll(async () => {
  host = await startBrokerHost({
    clock,
    capabilities: [
      defineCapability(EchoService, echo, { type: "echo", version: "1.0.0" }),
      defineCapability(EchoService, echo, { type: "guarded", version: "1.0.0", requireHolderProof: true }),
      defineHttpCapability((_, response) => void response.end(), { type: "raw", version: "1.0.0" }),
    ],
    policy: { allow: () => true, allowDerived: (...question) => allowDerived(...question) },
    ttlMs: 60_000,
    maxTtlMs: 100_000,
    limits: { maxDepth: 1 },
  });
});
afterAll(() => host[Symbol.asyncDispose]());
beforeEach(() => {
  allowDerived = () => true;
  alice = host.admit("alice");
  bob = host.admit("bob");
  host.broker.revokeAll("another test");
  host.events.length = 0;
});

const call = (
  method: "RenewGrant" | "DeriveGrant" | "ReturnGrant",
  { headers }: Pick<Caller, "headers">,
  json: object,
) => ask(host.endpoint, `/cpg.broker.v1.GrantService/${method}`, { headers, json });
const use = ({ path, headers }: PlainGrant, method = "Unary", proof: Readonly<Record<string, string>> = {}) =>
  ask(host.endpoint, `${path}/cpg.test.v1.EchoService/${method}`, {
    headers: { ...headers, ...proof },
    json: { text: "x" },
  });
const unary = "cpg.test.v1.EchoService/Unary";

describe("the GrantService", () => {
  it.each(["RenewGrant", "DeriveGrant", "ReturnGrant"] as const)(
    "%s is for plugins with an identity, and for the holder of the grant: for others it is not there",
    async (method) => {
      const { id: grantId } = await grantTo(host, alice, { capabilityType: "echo" });
      const before = host.broker.grants();
      const question = { grantId, ...(method === "DeriveGrant" && { holderId: bob.runtimeId }) };
      host.events.length = 0;
      const stranger = { headers: { ...alice.headers, "x-plugin-runtime-id": bob.runtimeId } };
      expect(await call(method, { headers: {} }, question)).toMatchObject({ status: 401 });
      expect(await call(method, stranger, question)).toMatchObject({ status: 401 });
      expect(await call(method, bob, question)).toMatchObject({ status: 404, json: { code: "not_found" } });
      expect(await call(method, alice, { ...question, grantId: "x".repeat(129) })).toMatchObject({
        status: 400,
        json: { message: expect.stringContaining("grant_id") },
      });
      const of = { accessor: before[0]?.accessor, holder: alice.runtimeId, capability: "echo" };
      const unknown = { accessor: undefined, holder: undefined, capability: undefined };
      expect(host.events).toMatchObject([
        { ...unknown, type: "refused", caller: undefined, error: { code: Code.Unauthenticated } },
        { ...unknown, type: "refused", caller: undefined, error: { code: Code.Unauthenticated } },
        { ...of, type: "refused", caller: bob.runtimeId, error: { code: Code.NotFound } },
        { ...unknown, type: "refused", caller: alice.runtimeId, error: { code: Code.InvalidArgument } },
      ]);
      expect(host.broker.grants()).toEqual(before);
    },
  );

  it("renews up to the greatest time to live", async () => {
    const grant = await grantTo(host, alice, { capabilityType: "echo" });
    const renew = (ttl?: string) => call("RenewGrant", alice, { grantId: grant.id, ...(ttl && { ttl }) });
    await clock.advance(30_000);
    expect((await renew()).json).toEqual({ ttl: "60s", renewable: true });
    await clock.advance(30_000);
    expect((await renew("3600s")).json).toEqual({ ttl: "40s" });
    expect(await renew()).toMatchObject({ status: 400, json: { code: "failed_precondition" } });
    expect(await renew("0s")).toMatchObject({ status: 400, json: { message: expect.stringContaining("ttl") } });
    await clock.advance(39_999);
    expect((await use(grant)).status).toBe(200);
    await clock.advance(1);
    expect((await use(grant)).status).toBe(404);
    expect(await renew()).toMatchObject({ status: 404, json: { code: "not_found" } });
  });

  it("derives a narrower grant for another plugin, which ends with the one that it comes from", async () => {
    const parent = await grantTo(host, alice, { capabilityType: "guarded" });
    const { status, json } = await call("DeriveGrant", alice, {
      grantId: parent.id,
      holderId: bob.runtimeId,
      methods: [unary],
      ttl: "3600s",
      reason: "to help",
    });
    expect(status).toBe(200);
    expect(json.grant).toMatchObject({ ttl: "60s", capabilityType: "guarded", version: "1.0.0" });
    const child = readGrant(json);
    expect(await use(child, "Unary", bob.proof)).toMatchObject({ status: 200, json: { text: "bob: x" } });
    // It is bob's alone, and good for nothing but what alice gave.
    expect((await use(child, "Unary", alice.proof)).status).toBe(403);
    expect(await use(child, "ClientStream", bob.proof)).toMatchObject({ status: 403 });
    expect((await use(parent, "Unary", bob.proof)).status).toBe(403);
    host.broker.revoke(parent.accessor, "test");
    expect((await use(child, "Unary", bob.proof)).status).toBe(404);
    expect(host.broker.grants()).not.toContainEqual(expect.objectContaining({ holder: bob.runtimeId }));
  });

  it.each([
    { field: "holder_id", change: () => ({ holderId: "no body" }), status: 400 },
    { field: "holder_id", change: () => ({ holderId: "bob-000000000000000000000000" }), status: 404 },
    { field: "methods", change: () => ({ methods: ["cpg.test.v1.EchoService/Other"] }), status: 400 },
    {
      field: "methods",
      change: () => ({ methods: Array.from({ length: 10_000 }, (_, at) => `a/${at}`) }),
      status: 400,
    },
    { field: "reason", change: () => ({ reason: "x".repeat(257) }), status: 400 },
    { field: "ttl", change: () => ({ ttl: "-1s" }), status: 400 },
  ])("refuses to derive with a bad $field ($status), and changes nothing", async ({ field, change, status }) => {
    const { id: grantId } = await grantTo(host, alice, { capabilityType: "echo" });
    const before = host.broker.grants();
    const answer = await call("DeriveGrant", alice, { grantId, holderId: bob.runtimeId, ...change() });
    expect(answer).toMatchObject({ status, json: { message: expect.stringContaining(field) } });
    expect(host.broker.grants()).toEqual(before);
  });

  it("derives no single methods of plain HTTP, nothing wider, and nothing too deep", async () => {
    const raw = await grantTo(host, alice, { capabilityType: "raw" });
    const narrow = await call("DeriveGrant", alice, { grantId: raw.id, holderId: bob.runtimeId, methods: ["GET"] });
    expect(narrow).toMatchObject({ status: 400, json: { message: expect.stringContaining("methods") } });

    const echoes = await grantTo(host, alice, { capabilityType: "echo" });
    const question = { grantId: echoes.id, holderId: bob.runtimeId, methods: [unary] };
    const child = readGrant((await call("DeriveGrant", alice, question)).json);
    const deeper = { grantId: child.id, holderId: alice.runtimeId };
    expect(await call("DeriveGrant", bob, deeper)).toMatchObject({ json: { code: "failed_precondition" } });
  });

  it("asks the policy, which may keep a plugin from what others would pass on", async () => {
    const asked: unknown[] = [];
    allowDerived = (identity, { type }, reason, _, holder) => {
      asked.push([identity.selfId, type, reason, holder.selfId]);
      return false;
    };
    const { id: grantId } = await grantTo(host, alice, { capabilityType: "echo" });
    const answer = await call("DeriveGrant", alice, { grantId, holderId: bob.runtimeId, reason: "to help" });
    expect(answer).toMatchObject({ status: 403, json: { code: "permission_denied" } });
    expect(asked).toEqual([["bob", "echo", "to help", "alice"]]);
    const refusal = { type: "refused", caller: alice.runtimeId, error: { code: Code.PermissionDenied } };
    expect(host.events.at(-1)).toMatchObject(refusal);
    expect(host.broker.grants()).not.toContainEqual(expect.objectContaining({ holder: bob.runtimeId }));
  });

  it("is in the audit, event by event, without any token", async () => {
    const grant = await grantTo(host, alice, { capabilityType: "echo", minVersion: "1.0.0", reason: "to talk" });
    await use(grant);
    await call("RenewGrant", alice, { grantId: grant.id, ttl: "90s" });
    const derived = await call("DeriveGrant", alice, { grantId: grant.id, holderId: bob.runtimeId, reason: "to help" });
    const child = readGrant(derived.json);
    await use({ ...child, headers: grant.headers });
    await call("ReturnGrant", bob, { grantId: child.id });
    host.broker.revoke(grant.accessor, "enough");
    const last = await grantTo(host, alice, { capabilityType: "raw" });
    await clock.advance(60_000 + 1_000);

    const timeMs = expect.any(Number);
    const holder = alice.runtimeId;
    const question = { timeMs, holder, capability: "echo", minVersion: "1.0.0", reason: "to talk" };
    const of = { timeMs, accessor: grant.accessor, holder, capability: "echo", version: "1.0.0" };
    const ofChild = { ...of, accessor: child.accessor, holder: bob.runtimeId };
    const ofLast = { ...of, accessor: last.accessor, capability: "raw" };
    const { version: _, ...ofRefused } = ofChild;
    expect(host.events).toEqual([
      { ...question, type: "requested" },
      { ...of, type: "granted", reason: "to talk", ttlMs: 60_000 },
      { ...of, type: "used", method: unary },
      { ...of, type: "renewed", ttlMs: 90_000 },
      {
        ...ofChild,
        type: "derived",
        derivedFrom: grant.accessor,
        methods: undefined,
        reason: "to help",
        ttlMs: 90_000,
      },
      { ...ofRefused, type: "refused", error: expect.objectContaining({ message: expect.stringContaining("token") }) },
      { ...ofChild, type: "returned", reason: expect.any(String) },
      { ...of, type: "revoked", reason: "enough" },
      { ...question, type: "requested", capability: "raw", minVersion: "", reason: "" },
      { ...ofLast, type: "granted", reason: "", ttlMs: 60_000 },
      { ...ofLast, type: "expired", reason: expect.any(String) },
    ]);
    const told = JSON.stringify(host.events);
    for (const secret of [grant.token, child.token, last.token, alice.token, bob.token]) {
      expect(told).not.toContain(secret);
    }
  });
});

describe("the hooks of a broker", () => {
  it("break no call by what they throw", async () => {
    await using own = await startBrokerHost({
      capabilities: [defineCapability(EchoService, echo, { type: "echo", version: "1.0.0" })],
      onAudit: () => {
        throw new Error("the audit is broken");
      },
      onError: async () => {
        throw new Error("so is this");
      },
    });
    const caller = own.admit("alice");
    const grant = await grantTo(own, caller, { capabilityType: "echo" });
    const answer = await ask(own.endpoint, `${grant.path}/${unary}`, { headers: grant.headers, json: { text: "x" } });
    expect(answer).toMatchObject({ status: 200, json: { text: "alice: x" } });
    expect(own.broker.revokeAll("test")).toBe(1);
  });
});
