import { describe, expect, it } from "vitest";
import { healthOf, serviceOf } from "../../test/support/facts.ts";
import type { DirectUpstream, HttpUpstream, UnixUpstream } from "../router/upstream.ts";
import { sameHealth, sameService } from "./same-facts.ts";

const http: HttpUpstream = {
  kind: "http",
  secure: false,
  address: "192.0.2.1",
  port: 80,
  authority: "p",
  servername: undefined,
  basePath: "",
  http: "auto",
};
const unix: UnixUpstream = { kind: "unix", path: "/a", authority: "localhost", basePath: "", http: "auto" };

function direct(): DirectUpstream {
  const open = () => {
    throw new Error("not called");
  };
  return { kind: "direct", endpoint: { name: "memory:a", open }, plugins: {} };
}
const memory = direct();

describe("sameService", () => {
  it.each([
    ["HTTP", http],
    ["Unix socket", unix],
    ["memory", memory],
  ])("knows a copy, %s", (_, upstream) => {
    expect(sameService(serviceOf("x", { upstream }), serviceOf("x", { upstream: { ...upstream } }))).toBe(true);
  });

  it.each([
    ["version", { version: "1.0.1" }],
    ["path", { endpointPath: "/v1/" }],
    ["weight", { weight: 1 }],
    ["lease", { leaseMs: 1000 }],
    ["metadata", { metadata: { k: "v" } }],
    ["kind of upstream", { upstream: unix }],
    ["encryption", { upstream: { ...http, secure: true } }],
    ["address", { upstream: { ...http, address: "192.0.2.2" } }],
    ["port", { upstream: { ...http, port: 81 } }],
    ["authority", { upstream: { ...http, authority: "q" } }],
    ["name in TLS", { upstream: { ...http, servername: "q" } }],
    ["base path", { upstream: { ...http, basePath: "/b" } }],
    ["HTTP version", { upstream: { ...http, http: "2" as const } }],
  ])("sees another %s", (_, facts) => {
    expect(sameService(serviceOf("x", { upstream: http }), serviceOf("x", { upstream: http, ...facts }))).toBe(false);
  });

  it.each([
    ["socket", unix, { ...unix, path: "/b" }],
    ["HTTP version on a socket", unix, { ...unix, http: "2" as const }],
    ["object in memory", memory, direct()],
    ["set of plugins in memory", memory, { ...memory, plugins: {} }],
  ])("sees another %s", (_, one, other) => {
    expect(sameService(serviceOf("x", { upstream: one }), serviceOf("x", { upstream: other }))).toBe(false);
  });

  it.each([
    [{ a: "1" }, { a: "2" }],
    [{ a: "1" }, { b: "1" }],
    [{ a: "1" }, { a: "1", b: "2" }],
  ])("sees that metadata %o is not %o", (metadata, other) => {
    expect(sameService(serviceOf("x", { metadata }), serviceOf("x", { metadata: other }))).toBe(false);
    expect(sameService(serviceOf("x", { metadata: other }), serviceOf("x", { metadata }))).toBe(false);
  });
});

describe("sameHealth", () => {
  const health = { ...healthOf("degraded", "slow"), unavailableDependencies: ["a", "b"] };
  it.each([
    ["level", { level: "healthy" as const }],
    ["source", { source: "probe" as const }],
    ["reason", { reason: "" }],
    ["dependencies", { unavailableDependencies: ["a", "c"] }],
    ["number of dependencies", { unavailableDependencies: ["a"] }],
  ])("sees another %s, and knows a copy", (_, facts) => {
    expect(sameHealth(health, { ...health, ...facts })).toBe(false);
    expect(sameHealth(health, { ...health, unavailableDependencies: ["a", "b"] })).toBe(true);
  });
});
