import { getEventListeners } from "node:events";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { healthOf, providerOf, register, serviceOf } from "../../test/support/facts.ts";
import { createRegistryStore } from "../state/create-registry-store.ts";
import type { RegistryStore } from "../state/registry-store.ts";
import { createWatchHub, type WatchLimits, type WatchOptions } from "./create-watch-hub.ts";
import type { ServiceView } from "./service-view.ts";
import type { ServiceWatch } from "./service-watch.ts";

function setup(limits?: WatchLimits) {
  const store = createRegistryStore({ epoch: "e" });
  const errors: unknown[] = [];
  const hub = createWatchHub({ store, limits, onError: (error) => errors.push(error) });
  return { store, hub, errors };
}

/** "available a b(degraded)": what a view shows. */
function shown({ state, providers, endpoint }: ServiceView): string {
  expect(endpoint).toBe(state === "unavailable" ? undefined : providers[0]);
  const marks = providers.map(({ providerId, health, draining }) => {
    const mark = draining ? "draining" : health;
    return mark === "healthy" ? providerId : `${providerId}(${mark})`;
  });
  return [state, ...marks].join(" ");
}

async function read(watch: ServiceWatch): Promise<string> {
  const { value } = await watch.next();
  return value === undefined ? "done" : shown(value);
}

/** Whether a read is still waiting after everything that can happen by itself has happened. */
async function waits(promise: Promise<unknown>): Promise<boolean> {
  const settled = await Promise.race([
    promise.then(
      () => "settled",
      () => "settled",
    ),
    new Promise((resolve) => setImmediate(() => resolve("waiting"))),
  ]);
  return settled === "waiting";
}

describe("view", () => {
  it.each<[title: string, change: (store: RegistryStore) => void, shows: string]>([
    ["nobody", () => {}, "unavailable"],
    ["one healthy provider", (store) => register(store, "a", "x"), "available a"],
    [
      "healthy ones first, then degraded ones, then those that get no calls",
      (store) => {
        for (const id of ["a", "b", "c", "d"]) register(store, id, "x");
        store.setHealth("a", healthOf("unhealthy"));
        store.setHealth("b", healthOf("degraded"));
        store.setDraining("c");
      },
      "available d b(degraded) a(unhealthy) c(draining)",
    ],
    [
      "only degraded ones",
      (store) => {
        register(store, "a", "x");
        register(store, "b", "x");
        store.setHealth("a", healthOf("degraded"));
        store.setHealth("b", healthOf("unhealthy"));
      },
      "degraded a(degraded) b(unhealthy)",
    ],
    [
      "only draining ones",
      (store) => {
        register(store, "a", "x");
        store.setDraining("a");
      },
      "unavailable a(draining)",
    ],
  ])("shows %s", (_, change, shows) => {
    const { store, hub } = setup();
    change(store);
    expect(shown(hub.view("x"))).toBe(shows);
    expect(hub.view("x")).toMatchObject({ type: "x", epoch: "e", revision: store.revision, restarted: false });
  });

  it("shows the version, the path through the host, and the metadata of each provider", () => {
    const { store, hub } = setup();
    register(store, "a", "x", { version: "2.0.0", metadata: { k: "v" } });
    store.setHealth("a", healthOf("degraded", "slow"));
    expect(hub.view("x").providers).toEqual([
      {
        providerId: "a",
        version: "2.0.0",
        endpointUrl: "/services/x/a",
        metadata: { k: "v" },
        health: "degraded",
        reason: "slow",
        draining: false,
      },
    ]);
  });
});

describe("watch", () => {
  it("begins with the present state, also of a type that nobody provides", async () => {
    const { store, hub } = setup();
    register(store, "a", "x");
    expect(await read(hub.watch("x"))).toBe("available a");
    expect(await read(hub.watch("y"))).toBe("unavailable");
  });

  it("tells a reader in time of each change, in order", async () => {
    const { store, hub } = setup();
    const watch = hub.watch("x");
    const steps: [change: () => unknown, shows: string][] = [
      [() => {}, "unavailable"],
      [() => register(store, "a", "x"), "available a"],
      [() => register(store, "b", "x"), "available a b"],
      [() => register(store, "a", "x", { version: "2.0.0" }), "available a b"],
      [() => store.setHealth("a", healthOf("degraded")), "available b a(degraded)"],
      [() => store.setHealth("a", healthOf("degraded", "why")), "available b a(degraded)"],
      [() => store.setDraining("b"), "degraded a(degraded) b(draining)"],
      [() => store.removeProvider("b", "revoked"), "degraded a(degraded)"],
      [() => store.removeProvider("a", "lease-ended"), "unavailable"],
    ];
    let revision = -1;
    for (const [change, shows] of steps) {
      const next = watch.next();
      change();
      const { value } = await next;
      expect(value && shown(value)).toBe(shows);
      expect(value?.revision).toBeGreaterThan(revision);
      revision = value?.revision ?? revision;
    }
  });

  it("gives a slow reader the newest state, once, and then waits", async () => {
    const { store, hub } = setup();
    const watch = hub.watch("x");
    await read(watch);
    for (const id of ["a", "b", "c"]) register(store, id, "x");
    store.setHealth("b", healthOf("unhealthy"));
    expect(await read(watch)).toBe("available a c b(unhealthy)");
    const next = watch.next();
    expect(await waits(next)).toBe(true);
    store.removeProvider("b", "removed");
    expect(shown((await next).value as ServiceView)).toBe("available a c");
  });

  it("gives a slow reader nothing when all is again as it last saw it", async () => {
    const { store, hub } = setup();
    register(store, "a", "x");
    const watch = hub.watch("x");
    await read(watch);
    store.setHealth("a", healthOf("degraded"));
    store.setHealth("a", healthOf("healthy"));
    const next = watch.next();
    expect(await waits(next)).toBe(true);
    store.setHealth("a", healthOf("degraded"));
    expect(shown((await next).value as ServiceView)).toBe("degraded a(degraded)");
  });

  it("says nothing of other types, nor of changes that nobody can see", async () => {
    const { store, hub } = setup();
    register(store, "a", "x");
    const watch = hub.watch("x");
    await read(watch);
    const next = watch.next();
    register(store, "a", "y");
    register(store, "a", "x", { endpointPath: "/v2/", weight: 1 });
    store.setHealth("a", { ...healthOf("healthy"), source: "probe" });
    expect(await waits(next)).toBe(true);
  });

  it("shows the change from an instance to its next self as one", async () => {
    const { store, hub } = setup();
    store.register(providerOf("a", { instance: "i" }), serviceOf("x"));
    const watch = hub.watch("x");
    await read(watch);
    store.register(providerOf("b", { instance: "i" }), serviceOf("x"));
    expect(await read(watch)).toBe("available b");
    expect(await waits(watch.next())).toBe(true);
  });

  it("tells those who see only the basics nothing that looks the same to them", async () => {
    const { store, hub } = setup();
    register(store, "a", "x");
    const watch = hub.watch("x", { basics: true });
    expect(await read(watch)).toBe("available a");
    const next = watch.next();
    register(store, "b", "x");
    store.setHealth("b", healthOf("unhealthy"));
    store.setHealth("b", healthOf("healthy"));
    expect(await waits(next)).toBe(true);
    store.setHealth("a", healthOf("degraded"));
    expect(shown((await next).value as ServiceView)).toBe("available b a(degraded)");
    // Behind, and then back where it was.
    store.setHealth("b", healthOf("degraded"));
    store.setHealth("b", healthOf("healthy"));
    expect(await waits(watch.next())).toBe(true);
  });

  it("tells the basics of a new version or new metadata of the preferred provider", async () => {
    const { store, hub } = setup();
    register(store, "a", "x");
    const watch = hub.watch("x", { basics: true });
    await read(watch);
    for (const facts of [{ version: "2.0.0" }, { metadata: { k: "v" } }]) {
      const next = watch.next();
      register(store, "a", "x", facts);
      expect((await next).value?.endpoint).toMatchObject(facts);
    }
  });

  it("answers reads that were begun before the one before was answered", async () => {
    const { store, hub } = setup();
    const watch = hub.watch("x");
    const reads = [watch.next(), watch.next(), watch.next()];
    expect(await waits(reads[1] as Promise<unknown>)).toBe(true);
    register(store, "a", "x");
    expect(await waits(reads[2] as Promise<unknown>)).toBe(true);
    register(store, "b", "x");
    const views = (await Promise.all(reads)).map(({ value }) => value && shown(value));
    expect(views).toEqual(["unavailable", "available a", "available a b"]);
  });
});

describe("the end of a watch", () => {
  it.each<[title: string, leave: (watch: ServiceWatch, abort: AbortController) => unknown]>([
    ["return", (watch) => watch.return()],
    ["abort", (_, abort) => abort.abort(new Error("gone"))],
    ["end", (watch) => watch.end(new ConnectError("over", Code.Unavailable))],
  ])("by %s leaves nothing behind, while a read waits or not", async (_, leave) => {
    const { hub } = setup({ watchesPerIdentity: 1 });
    for (const isWaiting of [true, false]) {
      const abort = new AbortController();
      const watch = hub.watch("x", { signal: abort.signal, holder: "h" });
      await read(watch);
      const next = isWaiting ? watch.next() : undefined;
      next?.catch(() => {});
      expect(hub.size).toBe(1);
      expect(getEventListeners(abort.signal, "abort")).toHaveLength(1);
      await leave(watch, abort);
      expect(hub.size).toBe(0);
      expect(getEventListeners(abort.signal, "abort")).toHaveLength(0);
      await next?.catch(() => {});
      await watch.next().catch(() => {});
      expect(await watch.next()).toEqual({ done: true, value: undefined });
    }
  });

  it("by its signal rejects the read that waits with its reason, or the next one", async () => {
    const { store, hub } = setup();
    for (const isWaiting of [true, false]) {
      const abort = new AbortController();
      const watch = hub.watch("x", { signal: abort.signal });
      await read(watch);
      const next = isWaiting ? watch.next() : undefined;
      // Even a newer state is of no use to whoever has gone.
      if (!isWaiting) register(store, "a", "x");
      abort.abort(new Error("gone"));
      await expect(next ?? watch.next()).rejects.toThrow("gone");
    }
    const watch = hub.watch("x", { signal: AbortSignal.abort(new Error("before")) });
    await expect(watch.next()).rejects.toThrow("before");
    expect(hub.size).toBe(0);
  });

  it("by return resolves the read that waits", async () => {
    const { hub } = setup();
    const watch = hub.watch("x");
    await read(watch);
    const next = watch.next();
    await watch.return();
    expect(await next).toEqual({ done: true, value: undefined });
  });

  it("from the other side comes after the last state", async () => {
    const { store, hub } = setup();
    const watch = hub.watch("x");
    await read(watch);
    register(store, "a", "x");
    hub.close();
    expect(await read(watch)).toBe("available a");
    await expect(watch.next()).rejects.toMatchObject({ code: Code.Unavailable });
    expect(await read(watch)).toBe("done");
  });

  it("a watch that nobody reads costs nothing", () => {
    const { hub } = setup();
    hub.watch("x");
    expect(hub.size).toBe(0);
  });

  it("of those that have a holder leaves the host's own open, and lets no new one in", async () => {
    const { hub } = setup();
    const [own, held] = [hub.watch("x"), hub.watch("x", { holder: "h" })];
    await Promise.all([read(own), read(held)]);
    const [ownNext, heldNext] = [own.next(), held.next()];
    hub.endHeld(new ConnectError("draining", Code.Unavailable));
    await expect(heldNext).rejects.toThrow("draining");
    await expect(hub.watch("x", { holder: "h" }).next()).rejects.toThrow("draining");
    expect(await waits(ownNext)).toBe(true);
    hub.close();
    await expect(ownNext).rejects.toMatchObject({ code: Code.Unavailable });
    await expect(hub.watch("x").next()).rejects.toMatchObject({ code: Code.Unavailable });
    expect(() => hub.follow("x", () => {})).toThrow("closed");
  });
});

describe("limits", () => {
  it("of one identity, and of all", async () => {
    const { hub } = setup({ watches: 3, watchesPerIdentity: 2 });
    const open = (holder?: string) => hub.watch("x", { holder }).next();
    await open("a");
    await open("a");
    await expect(open("a")).rejects.toMatchObject({ code: Code.ResourceExhausted });
    await open("b");
    await expect(open()).rejects.toMatchObject({ code: Code.ResourceExhausted });
    expect(() => hub.follow("x", () => {})).toThrow(ConnectError);
    expect(hub.size).toBe(3);
  });

  it.each([["watches"], ["watchesPerIdentity"], ["history"]])("%s is checked", (limit) => {
    for (const value of [-1, 1.5, Number.NaN]) {
      expect(() => setup({ [limit]: value })).toThrow(new RegExp(`limits.${limit}`));
    }
  });
});

describe("a watch that is resumed", () => {
  /** Watches once, and changes the type at revisions 2 to 5. */
  async function interrupted(limits?: WatchLimits) {
    const parts = setup(limits);
    const { store, hub } = parts;
    register(store, "a", "x");
    const watch = hub.watch("x");
    await read(watch);
    await watch.return();
    for (const level of ["degraded", "unhealthy", "healthy"] as const) store.setHealth("a", healthOf(level));
    return parts;
  }
  const after = (revision: number, epoch = "e"): WatchOptions => ({ after: { revision, epoch } });

  it.each([
    [2, ["degraded a(degraded)", "unavailable a(unhealthy)", "available a"]],
    [3, ["unavailable a(unhealthy)", "available a"]],
    [4, ["available a"]],
    [5, []],
  ])("after revision %i gets what it missed, in order, and then waits", async (revision, missed) => {
    const { store, hub } = await interrupted();
    const watch = hub.watch("x", after(revision));
    for (const shows of missed) {
      const { value } = await watch.next();
      expect(value && shown(value)).toBe(shows);
      expect(value?.restarted).toBe(false);
    }
    const next = watch.next();
    expect(await waits(next)).toBe(true);
    store.setDraining("a");
    expect(shown((await next).value as ServiceView)).toBe("unavailable a(draining)");
  });

  it("with the basics gets no event that looks like the one before", async () => {
    const { store, hub } = await interrupted();
    register(store, "b", "x");
    const watch = hub.watch("x", { ...after(2), basics: true });
    expect(await read(watch)).toBe("degraded a(degraded)");
    expect(await read(watch)).toBe("unavailable a(unhealthy)");
    expect(await read(watch)).toBe("available a");
    expect(await waits(watch.next())).toBe(true);
  });

  it.each<[title: string, options: WatchOptions, limits?: WatchLimits]>([
    ["of another epoch", after(5, "other")],
    ["from a revision that is yet to come", after(6)],
    ["from before its history", after(2), { history: 2 }],
    ["without any history", after(4), { history: 0 }],
    ["from before anybody watched", after(1)],
  ])("%s is told that it starts over, once", async (_, options, limits) => {
    const { store, hub } = await interrupted(limits);
    const watch = hub.watch("x", options);
    const { value } = await watch.next();
    expect(value).toMatchObject({ restarted: true, state: "available", revision: 5 });
    store.setDraining("a");
    expect((await watch.next()).value).toMatchObject({ restarted: false, state: "unavailable" });
  });

  it("still goes on where it was when other types have changed a lot", async () => {
    const { store, hub } = await interrupted({ history: 3 });
    for (let index = 0; index < 10; index++) register(store, `b${index}`, "y");
    const watch = hub.watch("x", after(2));
    expect(await read(watch)).toBe("degraded a(degraded)");
  });

  it("whose missed changes are forgotten while it reads starts over", async () => {
    const { store, hub } = await interrupted({ history: 3 });
    const watch = hub.watch("x", after(2));
    expect(await read(watch)).toBe("degraded a(degraded)");
    for (let index = 0; index < 3; index++) register(store, `b${index}`, "x");
    const { value } = await watch.next();
    expect(value).toMatchObject({ restarted: true, revision: store.revision });
    expect(await waits(watch.next())).toBe(true);
  });

  it("goes on from the very state in which nobody had watched the type", async () => {
    const { store, hub } = setup();
    register(store, "a", "x");
    const watch = hub.watch("x", after(store.revision));
    const next = watch.next();
    expect(await waits(next)).toBe(true);
    store.setDraining("a");
    expect((await next).value).toMatchObject({ restarted: false, state: "unavailable" });
  });

  it("hears of changes, however many types others have watched since", async () => {
    const { store, hub } = await interrupted();
    const watch = hub.watch("x", after(5));
    const next = watch.next();
    for (let index = 0; index < 1_001; index++) {
      const other = hub.watch(`y${index}`);
      await other.next();
      await other.return();
    }
    store.setDraining("a");
    expect(shown((await next).value as ServiceView)).toBe("unavailable a(draining)");
  });

  it("starts over when more types have been watched since than are remembered", async () => {
    const { hub } = await interrupted();
    for (let index = 0; index < 1_000; index++) {
      const watch = hub.watch(`y${index}`);
      await watch.next();
      await watch.return();
    }
    expect((await hub.watch("x", after(4)).next()).value).toMatchObject({ restarted: true });
  });
});

describe("follow", () => {
  it("tells the present state at once and every later one as it comes, until it is stopped", () => {
    const { store, hub } = setup();
    const heard: string[] = [];
    const stop = hub.follow("x", (view) => heard.push(shown(view)));
    register(store, "a", "x");
    store.setHealth("a", healthOf("degraded"));
    store.setHealth("a", healthOf("healthy"));
    stop();
    stop();
    expect(hub.size).toBe(0);
    store.setDraining("a");
    expect(heard).toEqual(["unavailable", "available a", "degraded a(degraded)", "available a"]);
  });

  it("tells the basics only what they show", () => {
    const { store, hub } = setup();
    const heard: string[] = [];
    hub.follow("x", (view) => heard.push(shown(view)), { basics: true });
    register(store, "a", "x");
    register(store, "b", "x");
    expect(heard).toEqual(["unavailable", "available a"]);
  });

  it("tells one that begins while another is told each state once", () => {
    const { store, hub } = setup();
    const heard: string[] = [];
    let isFirst = true;
    hub.follow("x", (view) => {
      if (view.state !== "available" || !isFirst) return;
      isFirst = false;
      hub.follow("x", (seen) => heard.push(shown(seen)));
    });
    register(store, "a", "x");
    register(store, "b", "x");
    expect(heard).toEqual(["available a", "available a b"]);
  });

  it("tells what another listener of the store makes of a change together with it", () => {
    const store = createRegistryStore();
    store.onChange((change) => {
      if (change.type === "registered") store.setHealth(change.provider.id, healthOf("degraded"));
    });
    const hub = createWatchHub({ store });
    const heard: string[] = [];
    hub.follow("x", (view) => heard.push(`${view.revision} ${shown(view)}`));
    register(store, "a", "x");
    expect(heard).toEqual(["0 unavailable", "3 degraded a(degraded)"]);
  });

  it("keeps a listener that throws from harming others", () => {
    const { store, hub, errors } = setup();
    const heard: string[] = [];
    hub.follow("x", () => {
      throw new Error("broken");
    });
    hub.follow("x", (view) => heard.push(shown(view)));
    register(store, "a", "x");
    expect(heard).toEqual(["unavailable", "available a"]);
    expect(errors).toHaveLength(2);
  });
});

describe("10,000 watchers of one type", () => {
  it("are all told of a change, and leave nothing behind", async () => {
    const { store, hub } = setup();
    const watches = Array.from({ length: 10_000 }, () => hub.watch("x"));
    await Promise.all(watches.map((watch) => watch.next()));
    const reads = watches.map((watch) => watch.next());
    register(store, "a", "x");
    const views = await Promise.all(reads);
    expect(new Set(views.map(({ value }) => value)).size).toBe(1);
    expect(views[0]?.value).toMatchObject({ state: "available" });
    await Promise.all(watches.map((watch) => watch.return()));
    expect(hub.size).toBe(0);
  });
});
