import { once } from "node:events";
import { get, type IncomingMessage, request } from "node:http";
import { connect } from "node:http2";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { FakeClock } from "@cpg/resilience/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type AuditEvent, defineCapability, defineHttpCapability, type HttpCapabilityCall } from "../src/index.ts";
import { ask, type BrokerHost, type Caller, grantTo, type PlainGrant, startBrokerHost } from "./support/broker-host.ts";
import { EchoService } from "./support/echo-service.ts";
import { openGranted, WIRES } from "./support/granted-client.ts";

const clock = new FakeClock();
/** Signals of the calls that hang, in the order in which they came. */
let hanging: AbortSignal[] = [];
let host: BrokerHost;
let alice: Caller;
let onAudit: (event: AuditEvent) => void = () => {};

async function hang({ signal }: HandlerContext | HttpCapabilityCall): Promise<never> {
  hanging.push(signal);
  return await new Promise(() => {});
}

beforeAll(async () => {
  const events: AuditEvent[] = [];
  const started = await startBrokerHost({
    clock,
    onAudit(event) {
      events.push(event);
      onAudit(event);
    },
    capabilities: [
      defineCapability(
        EchoService,
        {
          unary: (_, context) => hang(context),
          async *serverStream({ text }, context) {
            yield { text };
            await hang(context);
          },
          clientStream: (_, context) => hang(context),
          async *bidiStream(_, context) {
            yield { text: "begun" };
            await hang(context);
          },
        },
        { type: "slow", version: "1.0.0" },
      ),
      defineHttpCapability(
        async (_, response, call) => {
          response.write("begun");
          await hang(call);
        },
        { type: "raw", version: "1.0.0" },
      ),
    ],
    limits: { maxConcurrentCalls: 2 },
  });
  host = { ...started, events, [Symbol.asyncDispose]: () => started[Symbol.asyncDispose]() };
});
afterAll(() => host[Symbol.asyncDispose]());
beforeEach(() => {
  hanging = [];
  onAudit = () => {};
  alice = host.admit("alice");
});

async function hung(count: number): Promise<void> {
  await expect.poll(() => hanging.length).toBe(count);
}

const denied = { code: Code.PermissionDenied, rawMessage: expect.stringContaining("the grant has ended") };

describe("open calls of a grant that ends", () => {
  it.each(WIRES)("are cut with permission_denied over $protocol and HTTP/$httpVersion", async (wire) => {
    const grant = await grantTo(host, alice, { capabilityType: "slow" });
    await using granted = openGranted(host, EchoService, grant, grant.headers, wire);
    const { client } = granted;
    const stream = client.serverStream({ text: "first" })[Symbol.asyncIterator]();
    expect((await stream.next()).value?.text).toBe("first");
    const unary = client.unary({ text: "" }).catch((error: unknown) => error);
    await hung(2);
    expect(host.broker.revoke(grant.accessor, "test")).toBe(1);
    await expect(stream.next()).rejects.toMatchObject(denied);
    expect(await unary).toMatchObject(denied);
    await expect.poll(() => hanging.map(({ aborted }) => aborted)).toEqual([true, true]);
  });

  it("are cut when messages go both ways, or to the host", async () => {
    const grant = await grantTo(host, alice, { capabilityType: "slow" });
    await using granted = openGranted(host, EchoService, grant, grant.headers, { protocol: "grpc", httpVersion: "2" });
    const { promise: forever, resolve } = Promise.withResolvers<void>();
    const sent = async function* () {
      yield { text: "one" };
      await forever;
    };
    const talk = granted.client.bidiStream(sent())[Symbol.asyncIterator]();
    expect((await talk.next()).value?.text).toBe("begun");
    const told = granted.client.clientStream(sent()).catch((error: unknown) => error);
    await hung(2);
    host.broker.revokeCapability("slow", "test");
    await expect(talk.next()).rejects.toMatchObject(denied);
    expect(await told).toMatchObject(denied);
    resolve();
  });

  const ways = [
    { of: "the identity of its holder ends", end: () => host.server.identities.revoke(alice.runtimeId) },
    { of: "its time is up", end: () => clock.advance(3_600_000 + 1_000) },
    { of: "the host revokes all", end: () => host.broker.revokeAll("test") },
  ];
  it.each(ways)("are cut when $of", async ({ end }) => {
    const grant = await grantTo(host, alice, { capabilityType: "slow" });
    await using granted = openGranted(host, EchoService, grant, grant.headers);
    const unary = granted.client.unary({ text: "" }, { timeoutMs: 0 }).catch((error: unknown) => error);
    await hung(1);
    await end();
    expect(await unary).toMatchObject(denied);
    expect(host.broker.grants().filter(({ holder }) => holder === alice.runtimeId)).toEqual([]);
  });

  it("are cut when their message is still on its way: nothing runs", async () => {
    const grant = await grantTo(host, alice, { capabilityType: "slow" });
    const headers = { ...grant.headers, "content-type": "application/json" };
    const path = `${grant.path}/cpg.test.v1.EchoService/Unary`;
    const sent = request(`${host.endpoint}${path}`, { method: "POST", headers, agent: false });
    const failed = once(sent, "error");
    sent.write("{");
    const session = connect(host.endpoint);
    const stream = session.request({ ":method": "POST", ":path": path, ...headers });
    stream.on("error", () => {}); // of some versions of Node
    const closed = once(stream, "close");
    stream.write("{");
    const used = () => host.events.filter((event) => event.type === "used" && event.accessor === grant.accessor);
    await expect.poll(() => used().length).toBe(2);
    host.broker.revoke(grant.accessor, "test");
    expect(await failed).toMatchObject([{ code: "ECONNRESET" }]);
    await closed;
    expect(stream.rstCode).toBe(8);
    expect(hanging).toEqual([]);
    session.destroy();
  });

  it.each(["slow/cpg.test.v1.EchoService/Unary", "raw/x"])(
    "are not begun when it ends as its use is told: %s",
    async (to) => {
      const [capabilityType = "", ...rest] = to.split("/");
      const grant = await grantTo(host, alice, { capabilityType });
      onAudit = ({ type }) => void (type === "used" && host.broker.revoke(grant.accessor, "used too much"));
      const answer = await ask(host.endpoint, [grant.path, ...rest].join("/"), { headers: grant.headers });
      expect(answer).toMatchObject({ status: 403, json: { code: "permission_denied", message: denied.rawMessage } });
      expect(hanging).toEqual([]);
    },
  );

  it("are cut of a raw handler over HTTP/1.1: its reader learns that there is more", async () => {
    const grant = await grantTo(host, alice, { capabilityType: "raw" });
    const sent = get(`${host.endpoint}${grant.path}/x`, { headers: grant.headers });
    const [response]: IncomingMessage[] = await once(sent, "response");
    await hung(1);
    const read = response?.toArray();
    host.broker.revoke(grant.accessor, "test");
    await expect(read).rejects.toThrow("aborted");
    expect(hanging[0]?.reason).toMatchObject(denied);
  });

  it("are cut of a raw handler over HTTP/2, with CANCEL", async () => {
    const grant = await grantTo(host, alice, { capabilityType: "raw" });
    const session = connect(host.endpoint);
    const stream = session.request({ ":path": `${grant.path}/x`, ...grant.headers });
    await once(stream, "response");
    await hung(1);
    const closed = once(stream, "close");
    stream.on("error", () => {}); // of some versions of Node
    stream.resume();
    host.broker.revoke(grant.accessor, "test");
    await closed;
    expect(stream.rstCode).toBe(8);
    session.destroy();
  });
});

describe("the places of a grant's calls", () => {
  const open = (grant: PlainGrant, controller: AbortController) => {
    const granted = openGranted(host, EchoService, grant, grant.headers);
    const answer = granted.client.unary({ text: "" }, { signal: controller.signal }).catch((error: unknown) => error);
    return { granted, answer };
  };

  it("are limited, for this grant alone, and nothing runs beyond that", async () => {
    const grant = await grantTo(host, alice, { capabilityType: "slow" });
    const other = await grantTo(host, alice, { capabilityType: "slow" });
    const stop = new AbortController();
    const calls = [open(grant, stop), open(grant, stop)];
    await hung(2);
    const third = open(grant, stop);
    const tooMany = ConnectError.from(await third.answer);
    expect([tooMany.code, tooMany.metadata.get("retry-after")]).toEqual([Code.ResourceExhausted, "1"]);
    expect(hanging).toHaveLength(2);
    calls.push(open(other, stop));
    await hung(3);
    stop.abort("the test is over");
    for (const { granted, answer } of [...calls, third]) {
      await answer;
      await granted[Symbol.asyncDispose]();
    }
  });

  it("are kept by handlers that go on when their callers have left, and freed by streams", async () => {
    const grant = await grantTo(host, alice, { capabilityType: "slow" });
    const stop = new AbortController();
    await using granted = openGranted(host, EchoService, grant, grant.headers);
    const stream = granted.client.serverStream({ text: "x" }, { signal: stop.signal })[Symbol.asyncIterator]();
    await stream.next();
    const call = open(grant, stop);
    await hung(2);
    stop.abort("the reader leaves");
    await call.answer;
    await stream.next().catch(() => {});
    await expect.poll(() => hanging.map(({ aborted }) => aborted)).toEqual([true, true]);
    const again = new AbortController();
    // The unary handler is still there: of two places one is free.
    const next = open(grant, again);
    await hung(3);
    const third = open(grant, again);
    expect(await third.answer).toMatchObject({ code: Code.ResourceExhausted });
    again.abort("the test is over");
    await next.answer;
    for (const each of [call, next, third]) await each.granted[Symbol.asyncDispose]();
  });
});
