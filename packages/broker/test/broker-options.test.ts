import { Code, type Interceptor } from "@connectrpc/connect";
import { runtimeIdentityKey, serve } from "@cpg/core";
import { Logger } from "@cpg/core/gen/capability/logger/v1/logger_pb";
import { verifiedIdentityKey } from "@cpg/resilience";
import { describe, expect, it } from "vitest";
import { capabilityGrantKey, createBroker, defineCapability } from "../src/index.ts";
import { ask, askForGrant, grantTo, readGrant, startBrokerHost } from "./support/broker-host.ts";
import { EchoService, echo } from "./support/echo-service.ts";
import { openGranted } from "./support/granted-client.ts";

const unary = "/cpg.test.v1.EchoService/Unary";
const echoing = { type: "echo", version: "1.0.0" };

describe("a broker", () => {
  it("runs its interceptors around those of the capability, which know the grant, and no credentials", async () => {
    const log: unknown[] = [];
    const named =
      (name: string): Interceptor =>
      (next) =>
      async (req) => {
        log.push([name, req.contextValues.get(capabilityGrantKey)?.accessor, req.header.get("authorization")]);
        const response = await next(req);
        log.push(`${name} is done`);
        return response;
      };
    await using host = await startBrokerHost({
      capabilities: [defineCapability(EchoService, echo, { ...echoing, interceptors: [named("c"), named("d")] })],
      interceptors: [named("a"), named("b")],
    });
    const { path, headers, accessor } = await grantTo(host, host.admit("alice"), { capabilityType: "echo" });
    expect((await ask(host.endpoint, `${path}${unary}`, { headers, json: { text: "x" } })).status).toBe(200);
    expect(log).toEqual([
      ...["a", "b", "c", "d"].map((name) => [name, accessor, null]),
      ...["d", "c", "b", "a"].map((name) => `${name} is done`),
    ]);
  });

  it("is behind the interceptors of its server at both paths, and the calls of its capabilities are not", async () => {
    const seen: string[] = [];
    const watching: Interceptor = (next) => (req) => {
      seen.push(req.method.name);
      return next(req);
    };
    const broker = createBroker({ capabilities: [defineCapability(EchoService, echo, echoing)] });
    await using server = await serve({
      plugins: {},
      impls: {},
      extensions: [broker],
      interceptors: [watching],
      listen: { port: 0 },
      environment: {},
      handleSignals: false,
    });
    const { identity, token } = server.identities.issue({ selfId: "alice" });
    const headers = { "x-plugin-runtime-id": identity.runtimeId, authorization: `Bearer ${token}` };
    const question = { capabilityType: "echo" };
    const requestPath = "/connectplugin.v1.CapabilityBroker/RequestCapability";
    await askForGrant(server, { headers }, question, requestPath);
    const { json } = await askForGrant(server, { headers }, question, `/broker${requestPath}`);
    const grant = readGrant(json);
    await ask(server.endpoint, `${grant.path}${unary}`, { headers: grant.headers, json: { text: "x" } });
    expect(seen).toEqual(["RequestCapability", "RequestCapability"]);
  });

  it("lends several services under one grant", async () => {
    await using host = await startBrokerHost({
      capabilities: [defineCapability([EchoService, Logger], [echo, { log: () => ({}) }], echoing)],
    });
    const { path, headers } = await grantTo(host, host.admit("alice"), { capabilityType: "echo" });
    const said = await ask(host.endpoint, `${path}${unary}`, { headers, json: { text: "x" } });
    expect(said.json).toEqual({ text: "alice: x" });
    const logged = await ask(host.endpoint, `${path}/capability.logger.v1.Logger/Log`, { headers });
    expect(logged).toMatchObject({ status: 200, json: {} });
  });

  it("serves each of several versions to those who hold a grant of it", async () => {
    const versions = ["1.0.0", "2.0.0"].map((version) =>
      defineCapability(EchoService, { ...echo, unary: () => ({ text: version }) }, { type: "echo", version }),
    );
    const [first] = versions;
    if (first === undefined) throw new Error("there are two versions");
    await using host = await startBrokerHost({ capabilities: versions });
    const grant = await grantTo(host, host.admit("alice"), { capabilityType: "echo", minVersion: "1.0.0" });
    expect(grant.version).toBe("2.0.0");
    const answer = await ask(host.endpoint, `${grant.path}${unary}`, { headers: grant.headers });
    expect(answer.json).toEqual({ text: "2.0.0" });
  });

  it("tells capabilities who calls, if that is proven, as other calls of plugins do", async () => {
    const seen: unknown[] = [];
    const watching: Interceptor = (next) => (req) => {
      const { contextValues: values } = req;
      const isProven = values.get(capabilityGrantKey)?.isProven;
      seen.push([isProven, values.get(verifiedIdentityKey)?.id, values.get(runtimeIdentityKey)?.selfId]);
      return next(req);
    };
    await using host = await startBrokerHost({
      capabilities: [defineCapability(EchoService, echo, echoing)],
      interceptors: [watching],
    });
    const alice = host.admit("alice");
    const { path, headers } = await grantTo(host, alice, { capabilityType: "echo" });
    await ask(host.endpoint, `${path}${unary}`, { headers });
    await ask(host.endpoint, `${path}${unary}`, { headers: { ...headers, ...alice.proof } });
    expect(seen).toEqual([
      [false, undefined, undefined],
      [true, alice.runtimeId, "alice"],
    ]);
  });

  it("asks for proof of the holder where it says so, unless the capability says otherwise", async () => {
    await using host = await startBrokerHost({
      capabilities: [
        defineCapability(EchoService, echo, echoing),
        defineCapability(EchoService, echo, { type: "open", version: "1.0.0", requireHolderProof: false }),
      ],
      requireHolderProof: true,
    });
    const alice = host.admit("alice");
    const status = async (type: string) => {
      const { path, headers } = await grantTo(host, alice, { capabilityType: type });
      return (await ask(host.endpoint, `${path}${unary}`, { headers, json: { text: "x" } })).status;
    };
    expect([await status("echo"), await status("open")]).toEqual([401, 200]);
  });

  it("bounds messages, and the calls of a grant at a time and per second, with a retry delay", async () => {
    await using host = await startBrokerHost({
      capabilities: [defineCapability(EchoService, echo, echoing)],
      limits: { maxMessageBytes: 1_000, callBurst: 3, callsPerSecond: 0.001 },
    });
    const grant = await grantTo(host, host.admit("alice"), { capabilityType: "echo" });
    await using granted = openGranted(host, EchoService, grant, grant.headers);
    const { client } = granted;
    await expect(client.unary({ text: "x".repeat(2_000) })).rejects.toMatchObject({ code: Code.ResourceExhausted });
    for (const _ of [1, 2]) await client.unary({ text: "x" });
    const answer = await ask(host.endpoint, `${grant.path}${unary}`, { headers: grant.headers });
    expect(answer).toMatchObject({ status: 429, json: { code: "resource_exhausted" } });
    expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
    const other = await grantTo(host, host.admit("bob"), { capabilityType: "echo" });
    expect((await ask(host.endpoint, `${other.path}${unary}`, { headers: other.headers })).status).toBe(200);
  });

  it("ends all grants with its host, and belongs to one", async () => {
    const host = await startBrokerHost({ capabilities: [defineCapability(EchoService, echo, echoing)] });
    await grantTo(host, host.admit("alice"), { capabilityType: "echo" });
    const again = serve({
      plugins: {},
      impls: {},
      extensions: [host.broker],
      listen: { port: 0 },
      environment: {},
      handleSignals: false,
    });
    await expect(again).rejects.toThrow("a broker belongs to one host");
    await host[Symbol.asyncDispose]();
    expect(host.broker.grants()).toEqual([]);
  });
});
