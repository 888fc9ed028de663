import { Code, ConnectError } from "@connectrpc/connect";
import { readRetryDelay } from "@cpg/resilience";
import { describe, expect, it } from "vitest";
import { assumedHealthy } from "../health/provider-health.ts";
import { createRegistryStore } from "./create-registry-store.ts";
import type { RegistryStore, ServiceFacts } from "./registry-store.ts";

const degraded = { ...assumedHealthy, level: "degraded", source: "report" } as const;

function register(store: RegistryStore, id: string, type: string, facts: Partial<ServiceFacts> = {}) {
  return store.register(
    { id, selfId: "p", instance: `id:${id}` },
    {
      type,
      version: "1.0.0",
      endpointPath: "/",
      metadata: {},
      weight: 100,
      leaseMs: undefined,
      upstream: { kind: "unix", path: "/tmp/p.sock", authority: "localhost", basePath: "", http: "auto" },
      ...facts,
    },
  );
}

describe("registry store", () => {
  it("finds what was registered by every way that leads to it", () => {
    const store = createRegistryStore({ epoch: "e" });
    const logger = register(store, "b", "logger");
    const storage = register(store, "b", "storage");
    const other = register(store, "a", "logger");
    expect(store.epoch).toBe("e");
    expect(store.revision).toBe(5);
    expect(store.ofType("logger")).toEqual([logger, other]);
    expect(store.ofType("nothing")).toEqual([]);
    expect(store.ofProvider("b")).toEqual([logger, storage]);
    expect(store.find("storage", "b")).toBe(storage);
    expect(store.find("storage", "a")).toBeUndefined();
    expect(store.registration(other.id)).toBe(other);
    expect(store.provider("a")).toMatchObject({ id: "a", health: assumedHealthy, draining: false });
    expect(store.types()).toEqual(["logger", "storage"]);
    expect(store.providers().map(({ id }) => id)).toEqual(["b", "a"]);
  });

  it("keeps the id and the place of a registration that is made again with other facts", () => {
    const store = createRegistryStore();
    const first = register(store, "a", "logger");
    register(store, "b", "logger");
    const again = register(store, "a", "logger", { version: "2.0.0" });
    expect(again).toEqual({ ...first, version: "2.0.0" });
    expect(store.ofType("logger")[0]).toBe(again);
  });

  it("gives ids that nobody can guess, and another epoch to each registry", () => {
    const [one, other] = [createRegistryStore(), createRegistryStore()];
    expect(one.epoch).not.toBe(other.epoch);
    expect(register(one, "a", "x").id).not.toBe(register(other, "a", "x").id);
    expect(register(one, "b", "x").id).toMatch(/^x-[\w-]{22}$/);
  });

  it("returns arrays that no later change touches", () => {
    const store = createRegistryStore();
    register(store, "a", "logger");
    const before = store.ofType("logger");
    register(store, "b", "logger");
    store.removeProvider("a", "revoked");
    expect(before).toHaveLength(1);
  });

  it("tells each change after it happened, in order, with rising revisions", () => {
    const store = createRegistryStore();
    const heard: string[] = [];
    store.onChange(({ type, revision }) => heard.push(`${revision} ${type}`));
    register(store, "a", "logger");
    store.setHealth("a", degraded);
    store.setHealth("a", { ...degraded });
    store.setDraining("a");
    store.removeProvider("a", "revoked");
    expect(heard).toEqual([
      "1 provider-added",
      "2 registered",
      "3 provider-changed",
      "4 provider-changed",
      "5 unregistered",
      "6 provider-removed",
    ]);
  });

  it("tells all listeners the same order, also of changes that one of them makes", () => {
    const store = createRegistryStore();
    const heard: string[] = [];
    store.onChange(({ type }) => {
      if (type === "registered") store.setHealth("a", degraded);
    });
    store.onChange(({ type }) => heard.push(type));
    register(store, "a", "logger");
    expect(heard).toEqual(["provider-added", "registered", "provider-changed"]);
  });

  it("returns the registration even when a listener removes it at once", () => {
    const store = createRegistryStore();
    store.onChange((change) => {
      if (change.type === "registered") store.removeProvider("a", "removed");
    });
    expect(register(store, "a", "logger").type).toBe("logger");
    expect(store.types()).toEqual([]);
  });

  it("keeps a listener that throws from doing harm, and says so", () => {
    const errors: unknown[] = [];
    const onError = (error: unknown) => {
      errors.push(error);
      throw error;
    };
    const store = createRegistryStore({ onError });
    const heard: string[] = [];
    store.onChange(() => {
      throw new Error("broken");
    });
    const stop = store.onChange(({ type }) => heard.push(type));
    register(store, "a", "logger");
    stop();
    store.setDraining("a");
    expect(heard).toEqual(["provider-added", "registered"]);
    expect(errors).toHaveLength(3);
  });

  it.each([
    ["registrations", 2, ["a", "b"]],
    ["registrationsPerProvider", 2, ["a", "a"]],
  ] as const)("refuses more than limits.%s with a retry delay, and nothing has changed", (limit, value, ids) => {
    const store = createRegistryStore({ limits: { [limit]: value } });
    for (const [index, id] of ids.entries()) register(store, id, `t${index}`);
    const { revision } = store;
    let error: unknown;
    try {
      register(store, "a", "more");
    } catch (reason) {
      error = reason;
    }
    expect(error).toMatchObject({ code: Code.ResourceExhausted });
    expect(readRetryDelay(ConnectError.from(error)).kind).toBe("after");
    expect(store.revision).toBe(revision);
  });

  it.each(["registrations", "registrationsPerProvider"])("checks limits.%s", (limit) => {
    for (const value of [0, 1.5, Number.NaN]) {
      expect(() => createRegistryStore({ limits: { [limit]: value } })).toThrow(new RegExp(`limits.${limit}`));
    }
  });

  it("says whether anything changed", () => {
    const store = createRegistryStore();
    const { id } = register(store, "a", "logger");
    expect(store.setHealth("a", degraded)).toBe(true);
    expect(store.setHealth("a", degraded)).toBe(false);
    expect(store.setDraining("b")).toBe(false);
    expect(store.unregister(id, "unregistered")).toBe(true);
    expect(store.unregister(id, "unregistered")).toBe(false);
    expect(store.removeProvider("a", "removed")).toBe(false);
  });
});
