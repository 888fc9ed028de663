import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import {
  answered,
  type FakeExchange,
  identityEnds,
  refused,
  routing,
  type Scene,
  unprocessed,
} from "../../test/support/fake-routing.ts";
import type { ForwardEnd } from "./forward/forwarder.ts";

describe("a routed call", () => {
  it("goes to the provider that it names, with the path there, and is told of once", async () => {
    const router = routing();
    const headers = ["x-plugin-runtime-id", "api-1", "authorization", "Bearer a", "x-own", "1"];
    const { failures, record } = await router.call("/services/kv/kv-2/G%65t?a=%2f", headers);
    expect(failures).toEqual([]);
    expect(router.requests).toMatchObject([
      {
        method: "POST",
        path: "/base/acme.KV/G%65t?a=%2f",
        headers: [
          ...["x-own", "1", "x-plugin-caller-id", "api-1", "via", "2.0 cpg"],
          ...["x-plugin-control-token", "secret of kv-2"],
        ],
      },
    ]);
    expect(router.log).toEqual(["may call kv at kv-2 /acme.KV/Get", "kv-2 ok"]);
    expect(router.records).toHaveLength(1);
    expect(record).toEqual({
      caller: "api-1",
      type: "kv",
      provider: "kv-2",
      method: "/acme.KV/Get",
      httpMethod: "POST",
      code: "ok",
      status: 200,
      requestBytes: 3,
      responseBytes: 5,
      durationMs: 0,
      attempts: 1,
      error: undefined,
    });
    expect(JSON.stringify(record)).not.toContain("secret");
  });

  it("goes to whom the selection picks, with a dash for the provider", async () => {
    const router = routing();
    await router.call("/services/kv/-/Get");
    expect(router.log).toEqual(["may call kv at kv-1 /acme.KV/Get", "kv-1 ok"]);
  });

  it("counts as in flight at its provider until it has ended", async () => {
    const { promise, resolve } = Promise.withResolvers<ForwardEnd>();
    const router = routing({ ends: [promise] });
    router.begin("/services/kv/kv-1/Get");
    expect(router.inFlight.get("kv-1")).toBe(1);
    resolve(answered);
    await router.told;
    expect(router.inFlight.get("kv-1")).toBe(0);
  });

  const lost: ForwardEnd = { kind: "lost", cause: "connection", error: new Error("reset") };
  const body: ForwardEnd = { ...refused, replayable: false };
  const unavailable = { code: Code.Unavailable, status: 502 };
  const rows: {
    what: string;
    target: string;
    ends: ForwardEnd[];
    providers?: string[];
    to: string[];
    failures: FakeExchange["failures"];
  }[] = [
    {
      what: "that was refused goes to another",
      target: "-",
      ends: [refused, answered],
      to: ["kv-1", "kv-2"],
      failures: [],
    },
    {
      what: "that was refused unseen goes to another",
      target: "-",
      ends: [unprocessed, answered],
      to: ["kv-1", "kv-2"],
      failures: [],
    },
    {
      what: "is tried twice at most",
      target: "-",
      ends: [refused, refused, answered],
      to: ["kv-1", "kv-2"],
      failures: [unavailable],
    },
    {
      what: "whose body was not kept is not tried again",
      target: "-",
      ends: [body, answered],
      to: ["kv-1"],
      failures: [unavailable],
    },
    {
      what: "that was sent is not tried again",
      target: "-",
      ends: [lost, answered],
      to: ["kv-1"],
      failures: [unavailable],
    },
    {
      what: "without another provider is not tried again",
      target: "-",
      ends: [refused, answered],
      providers: ["kv-1"],
      to: ["kv-1"],
      failures: [unavailable],
    },
    {
      what: "of a provider by name goes to no other",
      target: "kv-1",
      ends: [refused, answered],
      to: ["kv-1"],
      failures: [unavailable],
    },
    {
      what: "of a provider by name, refused unseen, is tried there again",
      target: "kv-1",
      ends: [unprocessed, answered],
      to: ["kv-1", "kv-1"],
      failures: [],
    },
    {
      what: "of the only provider, refused unseen, is tried there again",
      target: "-",
      ends: [unprocessed, answered],
      providers: ["kv-1"],
      to: ["kv-1", "kv-1"],
      failures: [],
    },
    {
      what: "refused unseen twice fails",
      target: "kv-1",
      ends: [unprocessed],
      to: ["kv-1", "kv-1"],
      failures: [unavailable],
    },
    {
      what: "that finds every connection taken is told to wait",
      target: "kv-1",
      ends: [{ ...refused, cause: "busy" }],
      to: ["kv-1"],
      failures: [{ code: Code.ResourceExhausted, status: undefined }],
    },
    {
      what: "that cannot be written as the provider has it is malformed",
      target: "-",
      ends: [{ ...refused, cause: "request" }, answered],
      to: ["kv-1"],
      failures: [{ code: Code.InvalidArgument, status: undefined }],
    },
    {
      what: "of a provider that is just let go is unavailable",
      target: "kv-1",
      ends: [{ ...refused, cause: "closed" }],
      to: ["kv-1"],
      failures: [{ code: Code.Unavailable, status: undefined }],
    },
  ];
  it.each(rows)("$what", async ({ target, ends, providers, to, failures }) => {
    const router = routing({ ends, ...(providers && { providers }) });
    const result = await router.call(`/services/kv/${target}/Get`);
    expect(result.failures).toEqual(failures);
    expect(router.requests.map(({ upstream }) => upstream.authority)).toEqual(to);
    expect(result.record).toMatchObject({ attempts: to.length, provider: to.at(-1) });
    expect([...router.inFlight.values()].every((count) => count === 0)).toBe(true);
    expect(router.errors).toEqual([]);
  });

  const get = "/services/kv/kv-1/Get";
  const refusals: { what: string; scene: Scene; target: string; code: Code; headers?: string[] }[] = [
    { what: "without an identity", scene: {}, target: get, headers: [], code: Code.Unauthenticated },
    { what: "with a malformed path", scene: {}, target: "/services/kv/kv-1/a//b", code: Code.InvalidArgument },
    {
      what: "of a path of the protocol",
      scene: {},
      target: "/services/kv/kv-1/connectplugin.v1.X/Y",
      code: Code.PermissionDenied,
    },
    { what: "that policy denies", scene: { deny: () => true }, target: get, code: Code.PermissionDenied },
    { what: "of an unknown provider", scene: {}, target: "/services/kv/kv-3/Get", code: Code.NotFound },
    { what: "of an unknown type", scene: {}, target: "/services/log/kv-1/Get", code: Code.NotFound },
    {
      what: "of a type without providers",
      scene: { providers: [] },
      target: "/services/kv/-/Get",
      code: Code.NotFound,
    },
    {
      what: "of an unknown type that policy denies",
      scene: { deny: () => true },
      target: "/services/log/-/Get",
      code: Code.PermissionDenied,
    },
    {
      what: "of an unknown provider of a type that policy denies",
      scene: { deny: () => true },
      target: "/services/kv/kv-3/Get",
      code: Code.PermissionDenied,
    },
    { what: "of an unhealthy provider", scene: { level: "unhealthy" }, target: get, code: Code.Unavailable },
    { what: "of a draining provider", scene: { isDraining: true }, target: get, code: Code.Unavailable },
    { what: "of a draining host", scene: { hostDraining: true }, target: get, code: Code.Unavailable },
  ];
  it.each(refusals)("$what is refused, and reaches nobody", async ({ scene, target, code, headers }) => {
    const router = routing(scene);
    const { failures, record } = await router.call(target, headers);
    expect(failures).toEqual([{ code, status: undefined }]);
    expect(router.requests).toEqual([]);
    expect(record).toMatchObject({ attempts: 0, status: undefined, provider: undefined });
    expect(record?.error?.code).toBe(code);
  });

  it("goes to a degraded provider", async () => {
    expect((await routing({ level: "degraded" }).call(get)).failures).toEqual([]);
  });

  it("does not go on to a provider that policy denies", async () => {
    const router = routing({ ends: [refused, answered], deny: ({ providerId }) => providerId === "kv-2" });
    expect((await router.call("/services/kv/-/Get")).failures).toEqual([unavailable]);
    expect(router.requests).toHaveLength(1);
  });

  it("ends when its caller's identity does, and says nothing of its provider", async () => {
    const { promise, resolve } = Promise.withResolvers<ForwardEnd>();
    const router = routing({ ends: [promise] });
    const made = router.begin(get);
    const listeners = [...identityEnds];
    identityEnds.clear(); // as an identity does that ends
    for (const end of listeners) end(new ConnectError("revoked", Code.Unauthenticated));
    expect(made.failures).toEqual([{ code: Code.Unauthenticated, status: undefined }]);
    resolve({ kind: "aborted", status: undefined });
    await router.told;
    expect(router.records).toMatchObject([{ code: "unauthenticated", attempts: 1 }]);
    expect(router.log).toEqual(["may call kv at kv-1 /acme.KV/Get"]);
  });

  it("whose answer its provider breaks off is told of as lost", async () => {
    const router = routing({ ends: [{ ...answered, cut: "connection" }] });
    const { failures, record } = await router.call(get);
    expect(failures).toEqual([]); // the caller has seen the reset
    expect(record).toMatchObject({ code: "unavailable", status: 200 });
    expect(router.log).toContain("kv-1 reset");
  });

  it("that its caller leaves is canceled, and says nothing of its provider", async () => {
    const router = routing({ ends: [{ kind: "aborted", status: 200 }] });
    const { failures, record } = await router.call(get);
    expect(failures).toEqual([]);
    expect(record).toMatchObject({ code: "canceled", status: 200, error: undefined });
    expect(router.log).toHaveLength(1);
  });

  it("is one of as many as a caller may have open", async () => {
    const { promise, resolve } = Promise.withResolvers<ForwardEnd>();
    const router = routing({ ends: [promise], maxCallsPerCaller: 1 });
    const first = router.begin(get);
    const second = router.begin(get);
    expect(first.failures).toEqual([]);
    expect(second.failures).toEqual([{ code: Code.ResourceExhausted, status: undefined }]);
    resolve(answered);
    await router.told;
  });

  it("leaves nothing behind at its caller's identity", async () => {
    await routing().call(get);
    expect(identityEnds.size).toBe(0);
  });

  it("comes to no harm by who is told of it", async () => {
    const thrown = new Error("listener");
    const router = routing({
      onCall() {
        throw thrown;
      },
    });
    expect((await router.call(get)).failures).toEqual([]);
    expect(router.errors).toEqual([thrown]);
  });
});
