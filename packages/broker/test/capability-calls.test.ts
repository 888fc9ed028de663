import { Code, type ConnectError } from "@connectrpc/connect";
import { FakeClock } from "@cpg/resilience/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defineCapability, defineHttpCapability } from "../src/index.ts";
import { ask, type BrokerHost, type Caller, grantTo, type PlainGrant, startBrokerHost } from "./support/broker-host.ts";
import { EchoService, echo } from "./support/echo-service.ts";
import { openGranted, WIRES } from "./support/granted-client.ts";

const clock = new FakeClock();
const served: string[] = [];
const unary = "/cpg.test.v1.EchoService/Unary";

let host: BrokerHost;
let alice: Caller;
let mallory: Caller;

beforeAll(async () => {
  const heard: typeof echo = {
    ...echo,
    unary(note, context) {
      served.push(note.text);
      return echo.unary(note, context);
    },
  };
  host = await startBrokerHost({
    clock,
    capabilities: [
      defineCapability(EchoService, heard, { type: "echo", version: "1.0.0" }),
      defineCapability(EchoService, heard, { type: "guarded", version: "1.0.0", requireHolderProof: true }),
      defineHttpCapability(({ url = "" }, response) => void response.end(url), { type: "raw", version: "1.0.0" }),
    ],
  });
  alice = host.admit("alice");
  mallory = host.admit("mallory");
});
afterAll(() => host[Symbol.asyncDispose]());

/** What a call may change: who holds what, and what the capabilities have served. */
function state() {
  return { grants: host.broker.grants(), served: [...served] };
}

describe("a call of a capability", () => {
  it.each(WIRES)("has all four kinds of RPC over $protocol and HTTP/$httpVersion", async (wire) => {
    const grant = await grantTo(host, alice, { capabilityType: "echo" });
    await using granted = openGranted(host, EchoService, grant, grant.headers, wire);
    const { client } = granted;
    expect((await client.unary({ text: "hello" })).text).toBe("alice: hello");
    const streamed: string[] = [];
    for await (const { text } of client.serverStream({ text: "hello" })) streamed.push(text);
    expect(streamed).toEqual(["alice", "hello"]);
    const sent = async function* () {
      yield { text: "one" };
      yield { text: "two" };
    };
    expect((await client.clientStream(sent())).text).toBe("one two");
    const talk = async () => {
      const texts: string[] = [];
      for await (const { text } of client.bidiStream(sent())) texts.push(text);
      return texts.join(" ");
    };
    // HTTP/1.1 carries none that goes both ways at once: Connect's client gives up.
    const talked = wire.httpVersion === "2" ? "one two" : "unknown";
    expect(await talk().catch(({ code }: ConnectError) => Code[code]?.toLowerCase())).toBe(talked);
  });

  const wrongTokens: readonly {
    readonly of: string;
    readonly token: (grant: PlainGrant, other: PlainGrant) => string;
  }[] = [
    { of: "a token that is made up", token: ({ token }) => `${token.slice(0, -4)}AAAA` },
    { of: "a token that is too short", token: ({ token }) => token.slice(0, -1) },
    { of: "a token that is too long", token: ({ token }) => `${token}A` },
    { of: "a token that is far too long", token: () => "A".repeat(10_000) },
    { of: "the token of another grant", token: (_, other) => other.token },
    { of: "the runtime token of its holder", token: () => alice.token },
  ];
  interface Refusal {
    readonly of: string;
    readonly headers: (grant: PlainGrant, other: PlainGrant) => Record<string, string>;
    readonly status?: number;
    readonly code?: string;
  }
  const refusals: readonly Refusal[] = [
    ...wrongTokens.map(({ of, token }) => ({
      of,
      headers: (grant: PlainGrant, other: PlainGrant) => ({ authorization: `Bearer ${token(grant, other)}` }),
    })),
    { of: "no token", headers: () => ({}) },
    { of: "an empty token", headers: () => ({ authorization: "Bearer " }) },
    { of: "another scheme", headers: ({ token }: PlainGrant) => ({ authorization: `Basic ${token}` }) },
    { of: "two tokens", headers: ({ token }: PlainGrant) => ({ authorization: `Bearer ${token}, Bearer ${token}` }) },
    {
      of: "proof of another plugin",
      headers: ({ headers }: PlainGrant) => ({ ...headers, ...mallory.proof }),
      status: 403,
      code: "permission_denied",
    },
    {
      of: "a runtime token that is another's",
      headers: ({ headers }: PlainGrant) => ({
        ...headers,
        ...alice.proof,
        "x-plugin-runtime-token": mallory.token,
      }),
    },
  ];
  it.each(refusals)("is refused with $of, and changes nothing", async ({ headers, status = 401, code }) => {
    const grant = await grantTo(host, alice, { capabilityType: "echo" });
    const other = await grantTo(host, alice, { capabilityType: "echo" });
    const before = state();
    const answer = await ask(host.endpoint, `${grant.path}${unary}`, {
      headers: headers(grant, other),
      json: { text: "no" },
    });
    expect(answer).toMatchObject({ status, json: { code: code ?? "unauthenticated" } });
    expect(answer.headers["x-plugin-grant"]).toBe("refused");
    expect(state()).toEqual(before);
    const good = await ask(host.endpoint, `${grant.path}${unary}`, { headers: grant.headers, json: { text: "yes" } });
    expect(good.status).toBe(200);
  });

  it("is refused when what it calls is of another type, or its grant unknown: both are not there", async () => {
    const { id, headers } = await grantTo(host, alice, { capabilityType: "echo" });
    const before = state();
    for (const path of [
      `/capabilities/raw/${id}${unary}`,
      `/capabilities/other/${id}/x`,
      "/capabilities/echo/nope/x",
    ]) {
      const answer = await ask(host.endpoint, path, { headers });
      expect(answer).toMatchObject({ status: 404, json: { code: "not_found" } });
      expect(answer.headers["x-plugin-grant"]).toBe("refused");
    }
    expect(state()).toEqual(before);
  });

  it.each([
    "/capabilities/",
    "/capabilities/echo",
    "/capabilities/echo/GRANT",
    "/capabilities//GRANT/x",
    "/capabilities/echo//x",
    "/capabilities/ec%68o/GRANT/x",
    "/capabilities/echo/GRANT//evil.example/x",
    "/capabilities/echo/GRANT/../GRANT/x",
    "/capabilities/echo/GRANT/%2e%2E/x",
    "/capabilities/echo/GRANT/x%0",
    "/capabilities/echo/GRANT/x%00",
    "/capabilities/echo/GRANT/x\\y",
  ])("is refused at the malformed path %s", async (path) => {
    const { id, headers } = await grantTo(host, alice, { capabilityType: "echo" });
    const before = state();
    const answer = await ask(host.endpoint, path.replaceAll("GRANT", id), { headers });
    expect(answer).toMatchObject({ status: 400, json: { code: "invalid_argument" } });
    expect(state()).toEqual(before);
  });

  it("of an RPC that there is not is unimplemented", async () => {
    const { path, headers } = await grantTo(host, alice, { capabilityType: "echo" });
    const answer = await ask(host.endpoint, `${path}/cpg.test.v1.EchoService/Other`, { headers });
    expect(answer).toMatchObject({ status: 501, json: { code: "unimplemented" } });
  });

  it.each(WIRES)("is refused in the form of $protocol over HTTP/$httpVersion", async (wire) => {
    const { path } = await grantTo(host, alice, { capabilityType: "echo" });
    await using granted = openGranted(host, EchoService, { path }, {}, wire);
    const { client } = granted;
    const refused = { code: Code.Unauthenticated, rawMessage: expect.stringContaining("token of the grant") };
    await expect(client.unary({ text: "no" })).rejects.toMatchObject(refused);
    await expect(client.serverStream({ text: "no" })[Symbol.asyncIterator]().next()).rejects.toMatchObject(refused);
  });
});

describe("a stolen grant", () => {
  const cases = [
    { of: "without proof", proof: () => ({}), status: 401, code: "unauthenticated" },
    { of: "with the thief's own proof", proof: () => mallory.proof, status: 403, code: "permission_denied" },
    {
      of: "with the holder's id and the thief's token",
      proof: () => ({ ...alice.proof, "x-plugin-runtime-token": mallory.token }),
      status: 401,
      code: "unauthenticated",
    },
    {
      of: "with the holder's id alone",
      proof: () => ({ "x-plugin-runtime-id": alice.runtimeId }),
      status: 401,
      code: "unauthenticated",
    },
  ];
  it.each(cases)("is refused $of, where proof of the holder is required", async ({ proof, status, code }) => {
    const grant = await grantTo(host, alice, { capabilityType: "guarded" });
    const before = state();
    const stolen = { headers: { ...grant.headers, ...proof() }, json: { text: "stolen" } };
    expect(await ask(host.endpoint, `${grant.path}${unary}`, stolen)).toMatchObject({ status, json: { code } });
    expect(state()).toEqual(before);
    const own = { headers: { ...grant.headers, ...alice.proof }, json: { text: "own" } };
    expect(await ask(host.endpoint, `${grant.path}${unary}`, own)).toMatchObject({
      status: 200,
      json: { text: "alice: own" },
    });
  });

  it("is good for whoever has it, where proof is not required: plugins of connect-plugin-go show none", async () => {
    const grant = await grantTo(host, alice, { capabilityType: "echo" });
    const answer = await ask(host.endpoint, `${grant.path}${unary}`, { headers: grant.headers, json: { text: "x" } });
    expect(answer).toMatchObject({ status: 200, json: { text: "alice: x" } });
  });
});

describe("a grant that is over", () => {
  const call = ({ path, headers }: PlainGrant) => ask(host.endpoint, `${path}${unary}`, { headers });

  it("is not there once its time is up", async () => {
    const grant = await grantTo(host, alice, { capabilityType: "echo", ttl: "60s" });
    void clock.advance(59_999);
    expect((await call(grant)).status).toBe(200);
    void clock.advance(1);
    expect(await call(grant)).toMatchObject({ status: 404, json: { code: "not_found" } });
    expect(host.broker.grant(grant.accessor)).toBeUndefined();
  });

  const grantService = "/cpg.broker.v1.GrantService";
  const ways = [
    { of: "the host revokes it", end: (grant: PlainGrant) => host.broker.revoke(grant.accessor, "test") },
    { of: "the host revokes all of its holder", end: () => host.broker.revokeHolder(alice.runtimeId, "test") },
    { of: "the host revokes all of the capability", end: () => host.broker.revokeCapability("echo", "test") },
    { of: "the host revokes all", end: () => host.broker.revokeAll("test") },
    {
      of: "its holder gives it back",
      end: ({ id }: PlainGrant) =>
        ask(host.endpoint, `${grantService}/ReturnGrant`, { headers: alice.headers, json: { grantId: id } }),
    },
  ];
  it.each(ways)("is not there once $of", async ({ end }) => {
    const grant = await grantTo(host, alice, { capabilityType: "echo" });
    expect((await call(grant)).status).toBe(200);
    await end(grant);
    expect(await call(grant)).toMatchObject({ status: 404, json: { code: "not_found" } });
    expect(host.broker.grant(grant.accessor)).toBeUndefined();
  });

  it("ends with the identity of its holder", async () => {
    const guest = host.admit("guest");
    const grant = await grantTo(host, guest, { capabilityType: "echo" });
    expect((await call(grant)).status).toBe(200);
    host.server.identities.revoke(guest.runtimeId, "superseded");
    expect(await call(grant)).toMatchObject({ status: 404, json: { code: "not_found" } });
    expect(host.broker.grants().filter(({ holder }) => holder === guest.runtimeId)).toEqual([]);
  });
});
