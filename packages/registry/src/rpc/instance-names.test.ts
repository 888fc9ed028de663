import { createHash } from "node:crypto";
import type { RuntimeIdentity } from "@cpg/core";
import type { Peer } from "@cpg/resilience";
import { describe, expect, it } from "vitest";
import type { Upstream } from "../router/upstream.ts";
import { type InstanceFacts, providerFacts } from "./instance-names.ts";

const upstream: Upstream = {
  kind: "http",
  secure: false,
  address: "192.0.2.1",
  port: 80,
  authority: "p",
  servername: undefined,
  basePath: "",
  http: "auto",
};

function unix(path: string): Upstream {
  return { kind: "unix", path, authority: "localhost", basePath: "", http: "auto" };
}

function direct(): Upstream {
  const open = () => {
    throw new Error("not called");
  };
  return { kind: "direct", endpoint: { name: "memory:a", open }, plugins: {} };
}
const memory = direct();

function tcp(address: string | undefined): Peer {
  return { network: "tcp", address, port: 1, tls: undefined };
}

type NamedBy = Partial<Omit<InstanceFacts, "identity">> & { id?: string; selfId?: string };

function namesOf(facts: NamedBy) {
  const { id = "p-1", selfId = "p", ...others } = facts;
  const identity = { runtimeId: id, selfId } as RuntimeIdentity;
  const { instance, place } = providerFacts({
    identity,
    instanceKey: undefined,
    peer: tcp("192.0.2.1"),
    baseUrl: "http://p",
    upstream,
    ...others,
  });
  return new Set([instance, place].filter((name) => name !== undefined));
}

/** Whether two are taken for the same instance. */
function same(one: NamedBy, other: NamedBy): boolean {
  const names = namesOf({ id: "p-2", ...other });
  return [...namesOf({ id: "p-1", ...one })].some((name) => names.has(name));
}

describe("an instance", () => {
  const key = "k".repeat(32);
  it.each<[title: string, verdict: "the same" | "another", one: NamedBy, other: NamedBy]>([
    ["at the same place", "the same", {}, {}],
    ["at the same place, with the key of one only", "the same", { instanceKey: key }, {}],
    ["at the same place, with another key", "the same", { instanceKey: key }, { instanceKey: key.replace("k", "x") }],
    ["elsewhere, with the same key", "the same", { instanceKey: key }, { instanceKey: key, baseUrl: "http://q" }],
    [
      "from elsewhere, with the same key",
      "the same",
      { instanceKey: key },
      { instanceKey: key, peer: tcp("192.0.2.2") },
    ],
    ["on this machine, by IPv4 and IPv6", "the same", { peer: tcp("127.0.0.1") }, { peer: tcp("::1") }],
    [
      "on a Unix socket",
      "the same",
      { peer: { ...tcp(undefined), network: "unix" } },
      { peer: { ...tcp(undefined), network: "unix" } },
    ],
    ["with another self_id", "another", {}, { selfId: "q" }],
    ["with another self_id and the same key", "another", { instanceKey: key }, { instanceKey: key, selfId: "q" }],
    ["at another base_url", "another", {}, { baseUrl: "http://q" }],
    ["from another address", "another", {}, { peer: tcp("192.0.2.2") }],
    ["without base_url", "another", { baseUrl: undefined }, { baseUrl: undefined }],
    ["from an address that nobody knows", "another", { peer: tcp(undefined) }, { peer: tcp(undefined) }],
    ["in this process, the same object", "the same", { upstream: memory }, { upstream: memory, baseUrl: undefined }],
    ["in this process, another object", "another", { upstream: memory }, { upstream: direct() }],
    [
      "in this process, another object with the same key",
      "the same",
      { upstream: memory, instanceKey: key },
      { upstream: direct(), instanceKey: key },
    ],
    ["on the same socket, launched", "the same", { upstream: unix("/a") }, { upstream: unix("/a"), peer: undefined }],
    ["on another socket, launched", "another", { upstream: unix("/a") }, { upstream: unix("/b") }],
    [
      "whose self_id and address run together",
      "another",
      { selfId: "p", baseUrl: "http://a" },
      { selfId: "p 192.0.2.1" },
    ],
  ])("%s is %s", (_, verdict, one, other) => {
    expect(same(one, other) ? "the same" : "another").toBe(verdict);
  });

  it("is known by the hash of its key only", () => {
    const names = [...namesOf({ instanceKey: key })].join();
    expect(names).not.toContain(key);
    expect(names).toContain(createHash("sha256").update(`p\0${key}`).digest("base64url"));
  });
});
