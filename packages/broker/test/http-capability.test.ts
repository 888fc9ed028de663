import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:http2";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineCapability, defineHttpCapability, type HttpCapabilityHandler } from "../src/index.ts";
import { ask, type BrokerHost, type Caller, grantTo, startBrokerHost } from "./support/broker-host.ts";
import { EchoService, echo } from "./support/echo-service.ts";

let host: BrokerHost;
let alice: Caller;
let handler: HttpCapabilityHandler;

beforeAll(async () => {
  const { promise: forever } = Promise.withResolvers<never>();
  host = await startBrokerHost({
    capabilities: [
      defineHttpCapability((...call) => handler(...call), { type: "raw", version: "1.2.0" }),
      defineCapability(EchoService, { ...echo, unary: () => forever }, { type: "slow", version: "1.0.0" }),
    ],
  });
});
afterAll(() => host[Symbol.asyncDispose]());
beforeEach(() => {
  alice = host.admit("alice");
  host.errors.length = 0;
});

describe("a capability that is a plain handler", () => {
  /** What the handler may know of a request, as text. */
  const tell: HttpCapabilityHandler = async (request, response, { holder, accessor, type, version }) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const { method, url, headers, rawHeaders } = request;
    response.writeHead(207, { "content-type": "application/json", "x-own": "1" });
    const grant = { holder: holder.runtimeId, accessor, type, version };
    response.end(JSON.stringify({ method, url, body, custom: headers["x-custom"], headers, rawHeaders, grant }));
  };

  it("gets the request as /{rest}, who holds the grant, and no credentials: HTTP/1.1", async () => {
    handler = tell;
    const grant = await grantTo(host, alice, { capabilityType: "raw" });
    const { status, headers, json, text } = await ask(host.endpoint, `${grant.path}/a/b%2Fc?d=e&f=//..`, {
      method: "PUT",
      headers: { ...grant.headers, ...alice.proof, "x-custom": "kept" },
      json: { some: "body" },
    });
    expect(status).toBe(207);
    expect(headers["x-own"]).toBe("1");
    expect(json).toMatchObject({
      method: "PUT",
      url: "/a/b%2Fc?d=e&f=//..",
      body: '{"some":"body"}',
      custom: "kept",
      grant: { holder: alice.runtimeId, accessor: grant.accessor, type: "raw", version: "1.2.0" },
    });
    expect(text).not.toContain(grant.token);
    expect(text).not.toContain(alice.token);
    expect(text.toLowerCase()).not.toContain("authorization");
  });

  it("gets the request as /{rest}, and no credentials: HTTP/2", async () => {
    handler = tell;
    const grant = await grantTo(host, alice, { capabilityType: "raw" });
    const session = connect(host.endpoint);
    const stream = session.request({ ":path": `${grant.path}/`, ...grant.headers, ...alice.proof, "x-custom": "kept" });
    const text = Buffer.concat(await stream.toArray()).toString();
    session.close();
    expect(JSON.parse(text)).toMatchObject({ method: "GET", url: "/", body: "", custom: "kept" });
    expect(text).not.toContain(grant.token);
    expect(text).not.toContain(alice.token);
  });

  it("answers 500 when it throws, without what was to be the answer", async () => {
    handler = (_, response) => {
      response.setHeader("content-length", "1000");
      throw new Error("secret of the handler");
    };
    const grant = await grantTo(host, alice, { capabilityType: "raw" });
    const { status, text } = await ask(host.endpoint, `${grant.path}/x`, { headers: grant.headers });
    expect(status).toBe(500);
    expect(text).not.toContain("secret");
    expect(host.errors).toMatchObject([{ message: "secret of the handler" }]);
  });

  it("breaks its answer off when it rejects after the beginning", async () => {
    handler = async (_, response) => {
      response.write("begun");
      throw new Error("too late");
    };
    const grant = await grantTo(host, alice, { capabilityType: "raw" });
    await expect(ask(host.endpoint, `${grant.path}/x`, { headers: grant.headers })).rejects.toThrow("aborted");
    expect(host.errors).toMatchObject([{ message: "too late" }]);
  });

  it("may go on writing when its grant has ended", async () => {
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const { promise: done, resolve: finish } = Promise.withResolvers<void>();
    handler = async (_, response, { signal }) => {
      begin();
      await once(signal, "abort");
      response.setHeader("x-late", "1");
      response.writeHead(200);
      response.write("more");
      response.end("and more");
      finish();
    };
    const grant = await grantTo(host, alice, { capabilityType: "raw" });
    const sent = request(`${host.endpoint}${grant.path}/x`, { headers: grant.headers, agent: false });
    const failed = once(sent, "error");
    sent.end();
    await begun;
    host.broker.revoke(grant.accessor, "test");
    await done;
    expect(await failed).toMatchObject([{ code: "ECONNRESET" }]);
    expect(host.errors).toEqual([]);
  });
});

describe("calls that never end", () => {
  it("delay no other: of the same grant, of others, and of the host itself", async () => {
    handler = (_, response) => void response.end("quick");
    const slow = await grantTo(host, alice, { capabilityType: "slow" });
    const stop = new AbortController();
    const hanging = Array.from({ length: 50 }, () =>
      fetch(`${host.endpoint}${slow.path}/cpg.test.v1.EchoService/Unary`, {
        method: "POST",
        headers: { ...slow.headers, "content-type": "application/json" },
        body: "{}",
        signal: stop.signal,
      }).catch((error: unknown) => error),
    );
    const used = () => host.events.filter(({ type }) => type === "used").length;
    await expect.poll(used).toBeGreaterThanOrEqual(50);
    const quick = await grantTo(host, alice, { capabilityType: "raw" });
    expect((await ask(host.endpoint, `${quick.path}/x`, { headers: quick.headers })).text).toBe("quick");
    const other = await ask(host.endpoint, `${slow.path}/cpg.test.v1.EchoService/Nothing`, { headers: slow.headers });
    expect(other.status).toBe(501);
    stop.abort("the test is over");
    await Promise.all(hanging);
  });
});
