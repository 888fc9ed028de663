import { Code } from "@connectrpc/connect";
import type { HostContext, RuntimeIdentity } from "@cpg/core";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { providerOf, serviceOf } from "../../test/support/facts.ts";
import { identityOf } from "../../test/support/identity-of.ts";
import { createRegistryStore } from "../state/create-registry-store.ts";
import { createAttachments } from "./attachments.ts";
import { createManagedPlugins } from "./managed-plugins.ts";

type Identities = HostContext["identities"];
type EndListener = Parameters<Identities["onEnd"]>[0];

/** Identities that the test ends. */
function createFakeIdentities() {
  const live = new Map<string, RuntimeIdentity>();
  const listeners = new Set<EndListener>();
  const renewed: string[] = [];
  const end = (runtimeId: string, reason: Parameters<EndListener>[1]): boolean => {
    const identity = live.get(runtimeId);
    if (identity === undefined) return false;
    live.delete(runtimeId);
    for (const listener of listeners) listener(identity, reason);
    return true;
  };
  const unused = (): never => {
    throw new Error("attachments do not use this");
  };
  const identities: Identities = {
    size: 0,
    ttlMs: 1_000,
    issue: unused,
    verify: unused,
    authenticate: unused,
    close: unused,
    all: () => [],
    onIssue: () => () => {},
    get: (runtimeId) => live.get(runtimeId),
    renew(runtimeId) {
      renewed.push(runtimeId);
      const identity = live.get(runtimeId);
      if (identity === undefined) throw new Error("not live");
      return identity;
    },
    revoke: (runtimeId, reason = "revoked") => end(runtimeId, reason),
    onEnd(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  return { identities, live, listeners, renewed, end };
}

function start() {
  const clock = new FakeClock();
  const fake = createFakeIdentities();
  const store = createRegistryStore();
  const managed = createManagedPlugins(fake.identities);
  const errors: unknown[] = [];
  const attachments = createAttachments({
    host: { identities: fake.identities, clock },
    store,
    managed,
    onError: (error) => void errors.push(error),
  });
  const begin = (selfId: string) => {
    const identity = identityOf(selfId);
    fake.live.set(identity.runtimeId, identity);
    return attachments.begin({ identity, upstream, controlToken: "secret" });
  };
  return { clock, store, managed, errors, attachments, begin, ...fake };
}

const upstream = { kind: "unix", path: "/tmp/p.sock", authority: "localhost", basePath: "", http: "auto" } as const;
const p = "p-1";

describe("an attachment", () => {
  it.each(["revoked", "superseded", "released", "evicted"] as const)("ends with its identity: %s", (reason) => {
    const { begin, end, managed, store } = start();
    const { ended } = begin("p");
    store.register(providerOf(p), serviceOf("a"));
    expect(managed.controlTokenOf(p)).toBe("secret");
    end(p, reason);
    expect(ended.aborted).toBe(true);
    expect(managed.upstreamOf(p)).toBeUndefined();
    expect(managed.controlTokenOf(p)).toBeUndefined();
    expect(managed.isManaged(p)).toBe(false);
  });

  it("outlives an identity whose time is over for as long as there are registrations", () => {
    const { begin, end, store, managed } = start();
    const { ended } = begin("p");
    store.register(providerOf(p), serviceOf("a"));
    end(p, "expired");
    expect(ended.aborted).toBe(false);
    expect(managed.upstreamOf(p)).toBe(upstream);
    store.removeProvider(p, "removed");
    expect(ended.aborted).toBe(true);
    expect(managed.upstreamOf(p)).toBeUndefined();
    const { ended: another } = begin("p");
    end(p, "expired");
    expect(another.aborted).toBe(true);
  });

  it("outlives the registrations of an identity that lives", () => {
    const { begin, store } = start();
    const { ended } = begin("p");
    const { id } = store.register(providerOf(p), serviceOf("a"));
    store.unregister(id, "unregistered");
    expect(ended.aborted).toBe(false);
  });

  it("renews the identity twice in its time, until it ends", async () => {
    const { begin, clock, renewed, errors } = start();
    const attachment = begin("p");
    attachment.keepAlive();
    for (let round = 0; round < 4; round++) await clock.advance(500);
    expect(renewed).toEqual([p, p, p, p]);
    attachment.detach();
    await clock.advance(500);
    expect(renewed).toHaveLength(4);
    expect(clock.pending).toBe(0);
    expect(errors).toEqual([]);
  });

  it("takes identity and registrations back when it is detached, and neither when it is released", () => {
    const { begin, store, live } = start();
    const released = begin("p");
    store.register(providerOf(p), serviceOf("a"));
    released.release();
    released.detach();
    expect(released.ended.aborted).toBe(true);
    expect(store.provider(p)).toBeDefined();
    expect(live.has(p)).toBe(true);
    const detached = begin("p");
    detached.detach();
    detached.detach();
    expect(store.provider(p)).toBeUndefined();
    expect(live.has(p)).toBe(false);
  });

  it("is one for each plugin, and none for one whose identity has ended", () => {
    const { begin, attachments } = start();
    begin("p");
    const again = { identity: identityOf("p"), upstream, controlToken: undefined };
    expect(() => attachments.begin(again)).toThrow(expect.objectContaining({ code: Code.FailedPrecondition }));
    const dead = { ...again, identity: identityOf("q") };
    expect(() => attachments.begin(dead)).toThrow(expect.objectContaining({ code: Code.Aborted }));
  });

  it("ends with the host, which follows nobody then", () => {
    const { begin, attachments, listeners } = start();
    const { ended } = begin("p");
    const { ended: other } = begin("q");
    attachments.close();
    attachments.close();
    expect([ended.aborted, other.aborted]).toEqual([true, true]);
    expect(listeners.size).toBe(0);
  });
});

describe("who is managed", () => {
  it("is whoever was attached, or got an identity without asking for one", () => {
    const { managed, live, begin } = start();
    begin("p");
    live.set("made-1", identityOf("made"));
    live.set(
      "self-1",
      identityOf("self", { peer: { network: "unix", address: undefined, port: undefined, tls: undefined } }),
    );
    expect([p, "made-1", "self-1", "gone-1"].map(managed.isManaged)).toEqual([true, true, false, false]);
  });
});
