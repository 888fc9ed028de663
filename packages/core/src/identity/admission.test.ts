import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import type { Peer } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import {
  AdmissionError,
  type AdmissionPolicy,
  type AdmissionRequest,
  admitWhen,
  openAdmission,
  requireAdmission,
} from "./admission.ts";
import { allowPeers } from "./allow-peers.ts";
import { hostNameOf } from "./host-name.ts";
import { loopbackPeers } from "./loopback-peers.ts";

interface Case {
  readonly address?: string | undefined;
  readonly network?: Peer["network"];
  readonly authority?: string | undefined;
  readonly headers?: Record<string, string>;
}

function requestOf({ address = "127.0.0.1", network = "tcp", headers = {}, ...rest }: Case): AdmissionRequest {
  return {
    peer: { network, address: network === "tcp" ? address : undefined, port: 1, tls: undefined },
    authority: "authority" in rest ? rest.authority : "localhost:8080",
    headers: new Headers(headers),
    contextValues: createContextValues(),
    selfId: "a",
    selfVersion: "",
  };
}

async function refusalOf(policy: AdmissionPolicy, request: AdmissionRequest): Promise<ConnectError | undefined> {
  try {
    await requireAdmission(policy, request);
    return undefined;
  } catch (error) {
    return ConnectError.from(error);
  }
}

describe("loopbackPeers", () => {
  it.each<Case>([
    {},
    { address: "127.255.0.1" },
    { address: "::1", authority: "[::1]:8080" },
    { address: "::ffff:127.0.0.1", authority: "127.0.0.1" },
    { authority: "LocalHost" },
    { authority: "localhost." },
    { authority: "my-host.internal:80" },
    { network: "unix", authority: undefined },
    { network: "unix" },
    { network: "memory", authority: undefined },
    { headers: { "sec-fetch-mode": "cors", "x-forward": "not one of them" } },
    { headers: { host: "127.0.0.1:8080" } },
  ])("admits %o", async (request) => {
    expect(await refusalOf(loopbackPeers({ allowedHosts: ["My-Host.internal"] }), requestOf(request))).toBeUndefined();
  });

  it.each<Case & { rule: RegExp }>([
    { address: "10.0.0.1", rule: /only peers on this machine/ },
    { address: "128.0.0.1", rule: /only peers on this machine/ },
    { address: "::2", rule: /only peers on this machine/ },
    { address: "::ffff:10.0.0.1", rule: /only peers on this machine/ },
    { address: "fe80::1%eth0", rule: /only peers on this machine/ },
    { address: "not an address", rule: /only peers on this machine/ },
    { headers: { Forwarded: "for=1.2.3.4" }, rule: /header forwarded/ },
    { headers: { "X-Forwarded-For": "127.0.0.1" }, rule: /header x-forwarded-for/ },
    { headers: { "X-Forwarded-Host": "localhost" }, rule: /header x-forwarded-host/ },
    { headers: { "X-Forwarded": "" }, rule: /header x-forwarded/ },
    { headers: { Via: "1.1 proxy" }, rule: /header via/ },
    { headers: { "X-Real-IP": "127.0.0.1" }, rule: /header x-real-ip/ },
    { headers: { Origin: "null" }, rule: /header origin/ },
    { network: "unix", headers: { Via: "1.1 proxy" }, rule: /header via/ },
    { authority: "evil.example:8080", rule: /Host/ },
    { authority: "localhost.evil.example", rule: /Host/ },
    { authority: "evil@localhost", rule: /Host/ },
    { authority: "127.0.0.1.nip.io", rule: /Host/ },
    { authority: "", rule: /Host/ },
    { authority: undefined, rule: /without Host/ },
    { headers: { host: "evil.example" }, rule: /Host/ },
    { network: "unix", authority: "evil.example", rule: /Host/ },
  ])("refuses %o", async ({ rule, ...request }) => {
    const refusal = await refusalOf(loopbackPeers(), requestOf(request));
    expect(refusal?.code).toBe(Code.PermissionDenied);
    expect(refusal?.message).toMatch(rule);
    expect(refusal?.cause).toMatchObject({ policy: "loopbackPeers" });
  });

  it("refuses a peer that is not known", async () => {
    expect(await refusalOf(loopbackPeers(), { ...requestOf({}), peer: undefined })).toBeInstanceOf(ConnectError);
  });

  it.each(["localhost:80", "", "http://a", "a/b", "a b"])("takes no %o for a host name", (host) => {
    expect(() => loopbackPeers({ allowedHosts: [host] })).toThrow(/allowedHosts/);
  });
});

describe("hostNameOf", () => {
  it.each([
    ["A.Example.:80", "a.example"],
    ["[::1]", "::1"],
    ["[FE80::1]:1", "fe80::1"],
    ["a:123456", undefined],
    ["::1", undefined],
    [".", undefined],
    ["x".repeat(600), undefined],
  ])("%s -> %s", (authority, host) => {
    expect(hostNameOf(authority)?.host).toBe(host);
  });
});

describe("allowPeers", () => {
  it.each([
    { list: ["10.0.0.0/8"], address: "10.1.2.3", admitted: true },
    { list: ["10.0.0.9/8"], address: "10.1.2.3", admitted: true },
    { list: ["10.0.0.0/8"], address: "::ffff:10.1.2.3", admitted: true },
    { list: ["10.0.0.0/8"], address: "11.1.2.3", admitted: false },
    { list: ["10.1.2.3"], address: "10.1.2.3", admitted: true },
    { list: ["10.1.2.3"], address: "10.1.2.4", admitted: false },
    { list: ["fd00::/8"], address: "fd12::1", admitted: true },
    { list: ["fe80::/10"], address: "fe80::1%eth0", admitted: true },
    { list: ["fd00::/8"], address: "10.1.2.3", admitted: false },
    { list: ["0.0.0.0/0"], address: "10.1.2.3", admitted: true },
    { list: ["0.0.0.0/0"], address: "fd00::1", admitted: false },
  ])("$list, $address -> $admitted", async ({ list, address, admitted }) => {
    const refusal = await refusalOf(allowPeers(list), requestOf({ address, headers: { via: "x" }, authority: "b" }));
    expect(refusal === undefined).toBe(admitted);
  });

  it("refuses peers without an address", async () => {
    const refusal = await refusalOf(allowPeers(["0.0.0.0/0"]), requestOf({ network: "unix" }));
    expect(refusal?.message).toMatch(/not on the list/);
  });

  it.each([
    [[]],
    [["10.0.0.0/33"]],
    [["::/129"]],
    [["a.example"]],
    [["10.0.0.0/"]],
    [["10.0.0.0/8/8"]],
    [["fe80::1%eth0"]],
  ])("refuses the list %o", (list) => {
    expect(() => allowPeers(list)).toThrow(/addresses/);
  });
});

describe("requireAdmission", () => {
  it.each<{ name: string; policy: AdmissionPolicy; admitted: boolean }>([
    { name: "openAdmission", policy: openAdmission(), admitted: true },
    { name: "a condition that holds", policy: admitWhen("x", () => true), admitted: true },
    { name: "a condition that holds later", policy: admitWhen("x", async () => true), admitted: true },
    { name: "a condition that does not hold", policy: admitWhen("x", () => false), admitted: false },
    { name: "a condition that does not hold later", policy: admitWhen("x", async () => false), admitted: false },
    { name: "a condition that answers a truthy value", policy: admitWhen("x", () => JSON.parse("1")), admitted: false },
    { name: "a policy that answers nothing", policy: { name: "x", admit: () => JSON.parse("null") }, admitted: false },
  ])("$name -> $admitted", async ({ policy, admitted }) => {
    const refusal = await refusalOf(policy, requestOf({}));
    expect(refusal?.code).toBe(admitted ? undefined : Code.PermissionDenied);
  });

  it.each<{ name: string; admit: AdmissionPolicy["admit"] }>([
    {
      name: "throws",
      admit: () => {
        throw new Error("secret");
      },
    },
    { name: "rejects", admit: () => Promise.reject(new ConnectError("secret", Code.Internal)) },
  ])("refuses, and tells nothing, when a policy $name", async ({ admit }) => {
    const refusal = await refusalOf({ name: "mine", admit }, requestOf({}));
    expect(refusal?.code).toBe(Code.PermissionDenied);
    expect(refusal?.message).not.toMatch(/secret/);
    const cause = refusal?.cause as AdmissionError;
    expect(cause).toBeInstanceOf(AdmissionError);
    expect(String(cause.cause)).toMatch(/secret/);
  });

  it("refuses when a policy does not decide within 10 s", async () => {
    const clock = new FakeClock();
    const policy: AdmissionPolicy = { name: "slow", admit: () => new Promise(() => {}) };
    const outcome = requireAdmission(policy, requestOf({}), { clock }).then(
      () => "admitted",
      (error) => ConnectError.from(error).code,
    );
    await clock.advance(10_000);
    expect(await outcome).toBe(Code.PermissionDenied);
    expect(clock.pending).toBe(0);
  });
});
