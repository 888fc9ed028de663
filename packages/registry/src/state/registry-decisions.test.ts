import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assumedHealthy, type ProviderHealth } from "../health/provider-health.ts";
import { lookUp, valuesOf } from "./persistent-map.ts";
import { decide, type RegistryCommand } from "./registry-decisions.ts";
import { afterChange, afterChanges, emptyState, type RegistryState } from "./registry-state.ts";
import type { ProviderFacts, RegistryChange, RemovalCause, ServiceFacts } from "./registry-store.ts";

const limits = { registrations: 4, registrationsPerProvider: 2 };
const degraded: ProviderHealth = { ...assumedHealthy, level: "degraded", source: "report" };

function provider(id: string, names: Partial<ProviderFacts> = {}): ProviderFacts {
  return { id, selfId: "p", instance: `id:${id}`, ...names };
}

function service(type: string, facts: Partial<ServiceFacts> = {}): ServiceFacts {
  return {
    type,
    version: "1.0.0",
    endpointPath: "/",
    metadata: {},
    weight: 100,
    leaseMs: undefined,
    upstream: { kind: "unix", path: "/tmp/p.sock", authority: "localhost", basePath: "", http: "auto" },
    ...facts,
  };
}

function register(facts: ProviderFacts, type: string, other: Partial<ServiceFacts> = {}): RegistryCommand {
  return { type: "register", provider: facts, service: service(type, other), newId: `${facts.id}/${type}` };
}

function after(commands: readonly RegistryCommand[]): RegistryState {
  return commands.reduce((state, command) => {
    const decision = decide(state, command, limits);
    return decision.kind === "refused" ? state : afterChanges(state, decision.changes).state;
  }, emptyState);
}

/** "unregistered a/x superseded": what a change is and whom it is about. */
function named(change: RegistryChange): string {
  const subject = "registration" in change ? change.registration.id : change.provider.id;
  return [change.type, subject, ...("cause" in change ? [change.cause] : [])].join(" ");
}

const unregister = (registrationId: string): RegistryCommand => ({
  type: "unregister",
  registrationId,
  cause: "unregistered",
});
const remove = (providerId: string): RegistryCommand => ({ type: "remove-provider", providerId, cause: "revoked" });
const health = (providerId: string, value: ProviderHealth): RegistryCommand => ({
  type: "set-health",
  providerId,
  health: value,
});
const drain = (providerId: string): RegistryCommand => ({ type: "set-draining", providerId });

const promote = (providerId: string): RegistryCommand => ({ type: "promote", providerId });
const succeed = (oldProviderId: string, newProviderId: string): RegistryCommand => ({
  type: "succeed",
  oldProviderId,
  newProviderId,
});
const waiting = provider("w", { standby: true });

const a = provider("a");
const full = ["x", "y"].flatMap((type) => [register(a, type), register(provider("b"), type)]);

describe("decide", () => {
  it.each<[title: string, given: readonly RegistryCommand[], command: RegistryCommand, changes: readonly string[]]>([
    ["a new provider", [], register(a, "x"), ["provider-added a", "registered a/x"]],
    ["promoting nobody", [], promote("w"), []],
    ["promoting one that is on no standby", [register(a, "x")], promote("a"), []],
    ["promoting one on standby", [register(waiting, "x")], promote("w"), ["provider-changed w"]],
    ["promoting one twice", [register(waiting, "x"), promote("w")], promote("w"), []],
    ["a successor that is not there", [register(a, "x")], succeed("a", "w"), []],
    ["a successor of nobody", [register(waiting, "x")], succeed("a", "w"), []],
    ["a successor of itself", [register(a, "x")], succeed("a", "a"), []],
    [
      "a successor",
      [register(a, "x"), register(waiting, "x")],
      succeed("a", "w"),
      ["provider-changed w", "provider-changed a"],
    ],
    [
      "a successor that has calls already",
      [register(a, "x"), register(provider("b"), "x")],
      succeed("a", "b"),
      ["provider-changed a"],
    ],
    ["another type of a known provider", [register(a, "x")], register(a, "y"), ["registered a/y"]],
    ["the same type with other facts", [register(a, "x")], register(a, "x", { version: "2.0.0" }), ["updated a/x"]],
    [
      "the same type with other metadata",
      [register(a, "x")],
      register(a, "x", { metadata: { k: "v" } }),
      ["updated a/x"],
    ],
    ["the same type with another lease", [register(a, "x")], register(a, "x", { leaseMs: 1000 }), ["updated a/x"]],
    ["the same facts", [register(a, "x")], register(a, "x"), []],
    ["the same facts when full", full, register(a, "x"), []],
    [
      "the same instance under another id",
      [register(a, "x"), register(a, "y")],
      register(provider("b", { instance: "id:a" }), "x"),
      [
        "unregistered a/x superseded",
        "unregistered a/y superseded",
        "provider-removed a superseded",
        "provider-added b",
        "registered b/x",
      ],
    ],
    [
      "an instance from a place where another one was",
      [register(provider("a", { instance: "key:1", place: "place:1" }), "x")],
      register(provider("b", { instance: "place:1" }), "x"),
      ["unregistered a/x superseded", "provider-removed a superseded", "provider-added b", "registered b/x"],
    ],
    [
      "an instance that is known by its key, at another's place",
      [
        register(provider("a", { instance: "key:1", place: "place:1" }), "x"),
        register(provider("b", { instance: "key:2", place: "place:2" }), "x"),
      ],
      register(provider("c", { instance: "key:1", place: "place:2" }), "x"),
      [
        "unregistered a/x superseded",
        "provider-removed a superseded",
        "unregistered b/x superseded",
        "provider-removed b superseded",
        "provider-added c",
        "registered c/x",
      ],
    ],
    [
      "the same instance when full: its former self makes room",
      full,
      register(provider("c", { instance: "id:b" }), "x"),
      [
        "unregistered b/x superseded",
        "unregistered b/y superseded",
        "provider-removed b superseded",
        "provider-added c",
        "registered c/x",
      ],
    ],
    ["an unknown registration", [register(a, "x")], unregister("a/y"), []],
    ["one of several", [register(a, "x"), register(a, "y")], unregister("a/x"), ["unregistered a/x unregistered"]],
    [
      "the last one of a provider",
      [register(a, "x")],
      unregister("a/x"),
      ["unregistered a/x unregistered", "provider-removed a unregistered"],
    ],
    ["an unknown provider", [register(a, "x")], remove("b"), []],
    [
      "a provider",
      [register(a, "x"), register(a, "y")],
      remove("a"),
      ["unregistered a/x revoked", "unregistered a/y revoked", "provider-removed a revoked"],
    ],
    ["health of an unknown provider", [], health("a", degraded), []],
    ["the same health", [register(a, "x")], health("a", { ...assumedHealthy }), []],
    ["another health", [register(a, "x")], health("a", degraded), ["provider-changed a"]],
    ["draining of an unknown provider", [], drain("a"), []],
    ["draining", [register(a, "x")], drain("a"), ["provider-changed a"]],
    ["draining again", [register(a, "x"), drain("a")], drain("a"), []],
  ])("%s", (_, given, command, expected) => {
    const decision = decide(after(given), command, limits);
    expect(decision).toMatchObject({ kind: "changes" });
    expect(decision.kind === "changes" && decision.changes.map(named)).toEqual(expected);
  });

  it.each<[title: string, given: readonly RegistryCommand[], command: RegistryCommand, limit: string]>([
    ["too many in all", full, register(provider("c"), "x"), "registrations"],
    ["too many of one", full.slice(0, 3), register(a, "z"), "registrationsPerProvider"],
  ])("refuses %s", (_, given, command, limit) => {
    expect(decide(after(given), command, limits)).toEqual({ kind: "refused", limit });
  });
});

describe("after any commands", () => {
  const id = fc.constantFrom("a", "b", "c");
  const type = fc.constantFrom("x", "y", "z");
  const cause = fc.constantFrom<RemovalCause>("unregistered", "revoked", "lease-ended");
  const command: fc.Arbitrary<RegistryCommand> = fc.oneof(
    fc
      .record({ id, type, version: fc.constantFrom("1.0.0", "2.0.0"), instance: fc.constantFrom("k1", "k2", "k3") })
      .map(({ id, type, version, instance }) => register(provider(id, { instance }), type, { version })),
    fc.record({ id, type, cause }).map(({ id, type, cause }) => ({ ...unregister(`${id}/${type}`), cause }) as const),
    fc.record({ type: fc.constant("remove-provider" as const), providerId: id, cause }),
    fc.record({ id, value: fc.constantFrom(assumedHealthy, degraded) }).map(({ id, value }) => health(id, value)),
    id.map(drain),
  );

  it("the indexes agree, the limits hold, and the revision counts the changes", () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
        let state = emptyState;
        for (const next of commands) {
          const decision = decide(state, next, limits);
          const made = decision.kind === "changes" ? decision.changes : [];
          const before = state.revision;
          state = made.reduce(afterChange, state);
          expect(state.revision).toBe(before + made.length);
        }

        const all = [...valuesOf(state.registrations)];
        const byId = (one: { id: string }, other: { id: string }) => one.id.localeCompare(other.id);
        expect(all.length).toBe(state.registrations.size);
        expect(all.length).toBeLessThanOrEqual(limits.registrations);
        expect([...valuesOf(state.types)].flat().sort(byId)).toEqual([...all].sort(byId));
        for (const ofType of valuesOf(state.types)) expect(ofType).not.toHaveLength(0);
        const entries = [...valuesOf(state.providers)];
        expect(entries.flatMap(({ registrations }) => [...registrations.values()]).sort(byId)).toEqual(all.sort(byId));
        for (const { provider: known, registrations } of entries) {
          expect(registrations.size).toBeGreaterThan(0);
          expect(registrations.size).toBeLessThanOrEqual(limits.registrationsPerProvider);
          expect(lookUp(state.instances, known.instance)).toBe(known.id);
          for (const [key, registration] of registrations) {
            expect(registration).toMatchObject({ providerId: known.id, type: key });
            expect(lookUp(state.registrations, registration.id)).toBe(registration);
          }
        }
        expect(state.instances.size).toBe(entries.length);
      }),
      { numRuns: 500 },
    );
  });
});
