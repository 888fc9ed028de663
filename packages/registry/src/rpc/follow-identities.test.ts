import type { IdentityRegistry } from "@cpg/core";
import { describe, expect, it } from "vitest";
import { providerOf, register, serviceOf } from "../../test/support/facts.ts";
import { createRegistryStore } from "../state/create-registry-store.ts";
import { followIdentities } from "./follow-identities.ts";

type EndListener = Parameters<IdentityRegistry["onEnd"]>[0];

function setup() {
  const store = createRegistryStore();
  const revoked: unknown[] = [];
  const listeners = new Set<EndListener>();
  const identities = {
    onEnd(listener: EndListener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    revoke: (...order: unknown[]) => revoked.push(order) > 0,
  } as Partial<IdentityRegistry> as IdentityRegistry;
  const stop = followIdentities(store, identities);
  const end = (runtimeId: string, reason: Parameters<EndListener>[1]) => {
    for (const listener of listeners) listener({ runtimeId } as Parameters<EndListener>[0], reason);
  };
  return { store, revoked, end, stop };
}

describe("the end of an identity", () => {
  it.each([
    ["revoked", "revoked"],
    ["superseded", "superseded"],
    ["released", "released"],
    ["evicted", "removed"],
  ] as const)("%s removes its provider as %s", (reason, cause) => {
    const { store, end } = setup();
    const causes: unknown[] = [];
    register(store, "a", "x");
    store.onChange((change) => causes.push("cause" in change && change.cause));
    end("a", reason);
    expect(store.providers()).toEqual([]);
    expect(causes).toEqual([cause, cause]);
  });

  it.each(["expired", "closed"] as const)("%s leaves its provider", (reason) => {
    const { store, end } = setup();
    register(store, "a", "x");
    end("a", reason);
    expect(store.providers()).toHaveLength(1);
  });

  it("follows when a new self supersedes its provider, and only then", () => {
    const { store, revoked } = setup();
    register(store, "b", "x");
    store.removeProvider("b", "removed");
    store.register(providerOf("a", { instance: "i" }), serviceOf("x"));
    store.register(providerOf("c", { instance: "i" }), serviceOf("x"));
    expect(revoked).toEqual([["a", "superseded"]]);
  });

  it("means nothing after it was stopped", () => {
    const { store, revoked, end, stop } = setup();
    store.register(providerOf("a", { instance: "i" }), serviceOf("x"));
    stop();
    end("a", "revoked");
    store.register(providerOf("c", { instance: "i" }), serviceOf("x"));
    expect(store.providers()).toHaveLength(1);
    expect(revoked).toEqual([]);
  });
});
