import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { healthOf, register } from "../../test/support/facts.ts";
import { createRegistryStore } from "../state/create-registry-store.ts";
import type { RegistryStore } from "../state/registry-store.ts";
import { createSelector } from "./create-selector.ts";
import type { SelectionOptions, SelectionStrategy, Selector, SelectRequest } from "./selection.ts";
import { SelectionError, StrategyError } from "./selection-error.ts";

function sceneOf(options?: SelectionOptions) {
  const store = createRegistryStore();
  const errors: unknown[] = [];
  const selector = createSelector({ store, options, onError: (error) => errors.push(error) });
  return { store, selector, errors };
}

function pick(selector: Selector, request: Partial<SelectRequest> = {}): string {
  return selector.select({ type: "logger", minVersion: "", callerId: undefined, ...request }).provider.id;
}

function refusal(selector: Selector, request: Partial<SelectRequest> = {}) {
  try {
    return pick(selector, request);
  } catch (reason) {
    const { code, cause, rawMessage } = ConnectError.from(reason);
    return { code, fault: cause instanceof SelectionError ? cause.fault : undefined, message: rawMessage };
  }
}

const noneTakesCalls = {
  code: Code.Unavailable,
  fault: "unavailable",
  message: "no provider of service logger takes calls at present",
} as const;

describe("selector", () => {
  it("takes turns by default", () => {
    const { store, selector } = sceneOf();
    register(store, "a", "logger");
    register(store, "b", "logger");
    expect([1, 2, 3, 4].map(() => pick(selector))).toEqual(["a", "b", "a", "b"]);
  });

  it("takes the strategy of the service type, else the default", () => {
    const { store, selector } = sceneOf({ default: "first", byType: { storage: "round-robin" } });
    for (const type of ["logger", "storage", "constructor"]) {
      register(store, `${type}-a`, type);
      register(store, `${type}-b`, type);
    }
    const twice = (type: string) => [pick(selector, { type }), pick(selector, { type })];
    expect(twice("logger")).toEqual(["logger-a", "logger-a"]);
    expect(twice("storage")).toEqual(["storage-a", "storage-b"]);
    expect(twice("constructor")).toEqual(["constructor-a", "constructor-a"]);
  });

  it.each([
    ["selection.default", { default: "best" }],
    ["selection.byType.logger", { byType: { logger: 7 } }],
    ["selection.default", { default: "toString" }],
  ])("checks %s", (name, options) => {
    expect(() => sceneOf(options as SelectionOptions)).toThrow(new RegExp(`^${name}`));
  });

  it("passes on its random numbers", () => {
    const store = createRegistryStore();
    for (const id of ["a", "b", "c"]) register(store, id, "logger");
    const selector = createSelector({ store, options: { default: "random" }, random: () => 0.5 });
    expect(pick(selector)).toBe("b");
  });

  it("offers degraded ones only when nobody is healthy", () => {
    const { store, selector } = sceneOf({ default: "first" });
    for (const id of ["a", "b"]) register(store, id, "logger");
    store.setHealth("a", healthOf("degraded"));
    expect(pick(selector)).toBe("b");
    store.setHealth("b", healthOf("unhealthy"));
    expect(pick(selector)).toBe("a");
    store.setHealth("b", healthOf("healthy"));
    expect(pick(selector)).toBe("b");
  });

  it("offers a degraded one when all healthy ones were tried", () => {
    const { store, selector } = sceneOf();
    for (const id of ["a", "b"]) register(store, id, "logger");
    store.setHealth("a", healthOf("degraded"));
    expect(pick(selector, { except: new Set(["b"]) })).toBe("a");
    expect(pick(selector, { except: new Set() })).toBe("b");
  });

  it("does not offer who drains", () => {
    const { store, selector } = sceneOf({ default: "first" });
    for (const id of ["a", "b"]) register(store, id, "logger");
    store.setDraining("a");
    expect(pick(selector)).toBe("b");
  });

  it.each([
    { minVersion: "", picked: "old" },
    { minVersion: "9.0.0", picked: "old" },
    { minVersion: "9.0.1-rc.1", picked: "beta" },
    { minVersion: "10.0.0-beta.2", picked: "beta" },
    { minVersion: "10.0.0-beta.10", picked: "new" },
    { minVersion: "10.0.0", picked: "new" },
  ])("takes $picked, the first that is at least $minVersion", ({ minVersion, picked }) => {
    const { store, selector } = sceneOf({ default: "first" });
    register(store, "old", "logger", { version: "9.0.0" });
    register(store, "beta", "logger", { version: "10.0.0-beta.2" });
    register(store, "new", "logger", { version: "10.0.0" });
    expect(pick(selector, { minVersion })).toBe(picked);
  });

  it("is not misled by a version whose numbers are too large to compare", () => {
    const { store, selector } = sceneOf();
    register(store, "huge", "logger", { version: "99999999999999999999.0.0" });
    register(store, "b", "logger");
    expect(pick(selector, { minVersion: "1.0.0" })).toBe("b");
    expect(refusal(selector, { minVersion: "99999999999999999999.0.0" })).toMatchObject({ fault: "too-old" });
  });

  it.each<{
    readonly what: string;
    prepare(store: RegistryStore): void;
    readonly request?: Partial<SelectRequest>;
    readonly answer: ReturnType<typeof refusal>;
  }>([
    {
      what: "nobody is registered",
      prepare: () => {},
      answer: { code: Code.NotFound, fault: "unknown", message: "service logger is not registered" },
    },
    {
      what: "nobody is new enough",
      prepare: (store) => void register(store, "a", "logger"),
      request: { minVersion: "2.0.0" },
      answer: {
        code: Code.NotFound,
        fault: "too-old",
        message: "no provider of service logger has version 2.0.0 or a newer one",
      },
    },
    {
      what: "all are unhealthy",
      prepare(store) {
        register(store, "a", "logger");
        store.setHealth("a", healthOf("unhealthy"));
      },
      answer: noneTakesCalls,
    },
    {
      what: "all drain",
      prepare(store) {
        register(store, "a", "logger");
        store.setDraining("a");
      },
      answer: noneTakesCalls,
    },
    {
      what: "all were tried",
      prepare: (store) => void register(store, "a", "logger"),
      request: { except: new Set(["a"]) },
      answer: noneTakesCalls,
    },
  ])("says what is wrong when $what", ({ prepare, request, answer }) => {
    const { store, selector } = sceneOf();
    prepare(store);
    expect(refusal(selector, request)).toEqual(answer);
  });

  it("tells a type that is expected from one that nobody knows", () => {
    const { store } = sceneOf();
    const selector = createSelector({ store, isExpected: (type) => type === "logger" });
    expect(refusal(selector)).toEqual(noneTakesCalls);
    expect(refusal(selector, { type: "other" })).toMatchObject({ code: Code.NotFound, fault: "unknown" });
    register(store, "a", "logger");
    expect(refusal(selector, { minVersion: "2.0.0" })).toMatchObject({ fault: "too-old" });
  });

  it("says whether there was a choice", () => {
    const { store, selector } = sceneOf();
    const single = (minVersion = "") => selector.select({ type: "logger", minVersion, callerId: undefined }).single;
    register(store, "a", "logger");
    expect(single()).toBe(true);
    register(store, "b", "logger", { version: "2.0.0" });
    expect([single(), single("2.0.0")]).toEqual([false, true]);
    store.setHealth("a", healthOf("unhealthy"));
    expect(single()).toBe(false);
  });

  it("follows the registry also for a listener that hears of a change before the selector does", () => {
    const store = createRegistryStore();
    const seen: string[] = [];
    store.onChange(() => seen.push(store.ofType("logger").length === 0 ? "none" : pick(selector)));
    const selector = createSelector({ store, options: { default: "first" } });
    register(store, "a", "logger");
    expect(pick(selector)).toBe("a");
    store.setHealth("a", healthOf("degraded"));
    register(store, "b", "logger");
    expect(pick(selector)).toBe("b");
    store.removeProvider("b", "revoked");
    expect(seen).toEqual(["a", "a", "a", "b", "b", "a", "a"]);
  });

  it("keeps the turn when the registry changes", () => {
    const { store, selector } = sceneOf();
    for (const id of ["a", "b", "c"]) register(store, id, "logger");
    expect(pick(selector)).toBe("a");
    store.setHealth("c", healthOf("degraded"));
    expect(pick(selector)).toBe("b");
  });

  it("begins anew when nobody provided the service in between", () => {
    const { store, selector } = sceneOf();
    for (const id of ["a", "b"]) register(store, id, "logger");
    expect(pick(selector)).toBe("a");
    for (const id of ["a", "b"]) store.removeProvider(id, "removed");
    for (const id of ["a", "b"]) register(store, id, "logger");
    expect(pick(selector)).toBe("a");
  });

  it("counts calls until they end, each once", () => {
    const { selector } = sceneOf();
    const end = selector.begin("a");
    const endOther = selector.begin("a");
    expect(selector.inFlight("a")).toBe(2);
    end();
    end();
    expect(selector.inFlight("a")).toBe(1);
    endOther();
    expect(selector.inFlight("a")).toBe(0);
  });

  it("sends calls to who is less busy", () => {
    const { store, selector } = sceneOf({ default: "least-loaded" });
    for (const id of ["a", "b"]) register(store, id, "logger");
    const end = selector.begin("a");
    expect(pick(selector)).toBe("b");
    selector.begin("b");
    end();
    expect(pick(selector)).toBe("a");
  });

  it("always selects somebody who may be called, as the registry says, whatever happened before", () => {
    const id = fc.constantFrom("a", "b", "c", "d");
    const step = fc.oneof(
      fc.record({ do: fc.constant("register" as const), id, version: fc.constantFrom("1.0.0", "2.0.0") }),
      fc.record({ do: fc.constant("remove" as const), id }),
      fc.record({ do: fc.constant("drain" as const), id }),
      fc.record({ do: fc.constant("health" as const), id, level: fc.constantFrom("healthy", "degraded", "unhealthy") }),
      fc.record({ do: fc.constant("select" as const), minVersion: fc.constantFrom("", "1.0.0", "1.5.0", "3.0.0") }),
    );
    const strategy = fc.constantFrom("first", "round-robin", "random", "weighted", "least-loaded");
    fc.assert(
      fc.property(strategy, fc.array(step, { maxLength: 60 }), (name, steps) => {
        const { store, selector } = sceneOf({ default: name });
        const wrong: unknown[] = [];
        for (const one of steps) {
          if (one.do === "register") register(store, one.id, "logger", { version: one.version });
          else if (one.do === "remove") store.removeProvider(one.id, "removed");
          else if (one.do === "drain") store.setDraining(one.id);
          else if (one.do === "health") store.setHealth(one.id, healthOf(one.level));
          else {
            const { allowed, fault } = expected(store, one.minVersion);
            const result = refusal(selector, { minVersion: one.minVersion });
            const isRight = typeof result === "string" ? allowed.includes(result) : result.fault === fault;
            if (!isRight) wrong.push({ result, allowed, fault });
          }
        }
        expect(wrong).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });
});

/** Who may be selected, told the slow way. */
function expected(store: RegistryStore, minVersion: string) {
  const all = store.ofType("logger");
  const newEnough = all.filter(({ version }) => version >= minVersion);
  const takesCalls = newEnough.flatMap(({ providerId }) => {
    const provider = store.provider(providerId);
    return provider === undefined || provider.draining || provider.health.level === "unhealthy" ? [] : provider;
  });
  const healthy = takesCalls.filter(({ health }) => health.level === "healthy");
  const allowed = (healthy.length > 0 ? healthy : takesCalls).map(({ id }) => id);
  const fault = all.length === 0 ? "unknown" : newEnough.length === 0 ? "too-old" : "unavailable";
  return { allowed, fault: allowed.length === 0 ? fault : undefined };
}

describe("selector with a strategy of the user", () => {
  const withStrategy = (strategy: unknown) => {
    const scene = sceneOf({ byType: { logger: strategy as SelectionStrategy } });
    for (const id of ["a", "b"]) register(scene.store, id, "logger");
    return scene;
  };

  it("gives it candidates and context, and takes its word", () => {
    const asked: unknown[] = [];
    const { selector } = withStrategy(((candidates, context) => {
      asked.push(
        candidates.map(({ provider, inFlight }) => `${provider.id} ${inFlight}`),
        context,
      );
      return candidates.at(-1);
    }) satisfies SelectionStrategy);
    selector.begin("b");
    expect(pick(selector, { callerId: "me" })).toBe("b");
    expect(asked).toEqual([["a 0", "b 1"], { type: "logger", callerId: "me" }]);
  });

  it("calls nobody when it wants nobody", () => {
    const { selector, errors } = withStrategy(() => undefined);
    expect(refusal(selector)).toMatchObject({ code: Code.Unavailable });
    expect(errors).toEqual([]);
  });

  it.each([
    [
      "throws",
      () => {
        throw new Error("broken");
      },
    ],
    ["picks what it was not offered", ([first]: readonly object[]) => ({ ...first })],
    ["is asynchronous", async ([first]: readonly object[]) => first],
    ["rejects", () => Promise.reject(new Error("broken"))],
    ["sorts what is not its own", (candidates: object[]) => candidates.sort()[0]],
  ])("takes turns instead when it %s, and says so", (_what, strategy) => {
    const { selector, errors } = withStrategy(strategy);
    expect([pick(selector), pick(selector)]).toEqual(["a", "b"]);
    expect(errors).toHaveLength(2);
    expect(errors[0]).toBeInstanceOf(StrategyError);
    expect(errors[0]).toMatchObject({ type: "logger" });
  });

  it("survives a listener of errors that throws", () => {
    const store = createRegistryStore();
    register(store, "a", "logger");
    const broken = () => {
      throw new Error("broken");
    };
    const selector = createSelector({ store, options: { default: broken }, onError: broken });
    expect(pick(selector)).toBe("a");
  });
});
