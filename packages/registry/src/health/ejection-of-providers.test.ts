import { describe, expect, it } from "vitest";
import { healthScene, healthy, reportOf } from "../../test/support/health-scene.ts";

const ids = (count: number) => Array.from({ length: count }, (_, index) => `p${index}`);

describe("ejection", () => {
  it.each(["failed", "timeout"] as const)("keeps out who has %s five calls in a row, for 30 s", async (result) => {
    const { clock, events, level, source, call, register } = healthScene();
    for (const id of ["a", "b"]) register(id);
    call("a", result, 4);
    call("a", "ok");
    call("a", result, 4);
    expect(level("a")).toBe("healthy");
    call("a", result);
    expect([level("a"), source("a")]).toEqual(["unhealthy", "ejection"]);
    await clock.advance(29_999);
    expect(level("a")).toBe("unhealthy");
    await clock.advance(1);
    expect(level("a")).toBe("healthy");
    expect(events).toEqual([
      { type: "ejected", providerId: "a", forMs: 30_000 },
      { type: "readmitted", providerId: "a", early: false },
    ]);
  });

  it("lasts longer each time", async () => {
    const { clock, events, call, register } = healthScene();
    for (const id of ["a", "b"]) register(id);
    for (let time = 0; time < 3; time++) {
      call("a", "failed", 5);
      await clock.advance(90_000);
    }
    const forMs = events.flatMap((event) => (event.type === "ejected" ? event.forMs : []));
    expect(forMs).toEqual([30_000, 30_000, 30_000]); // forgiven, each time
    for (let time = 0; time < 2; time++) {
      call("a", "failed", 5);
      await clock.advance(60_000);
    }
    expect(events.flatMap((event) => (event.type === "ejected" ? event.forMs : [])).slice(3)).toEqual([30_000, 30_000]);
    for (let time = 0; time < 2; time++) {
      call("a", "failed", 5);
      await clock.advance(30_000);
    }
    expect(events.flatMap((event) => (event.type === "ejected" ? event.forMs : [])).slice(5)).toEqual([30_000, 60_000]);
  });

  it("ends when the provider registers a type of which it is the only one", () => {
    const { events, level, call, register } = healthScene();
    for (const id of ["a", "b"]) register(id);
    call("a", "failed", 5);
    expect(level("a")).toBe("unhealthy");
    register("a", "storage");
    expect(level("a")).toBe("healthy");
    expect(events.at(-1)).toEqual({ type: "readmitted", providerId: "a", early: true });
  });

  it("goes by its options", async () => {
    const options = { ejection: { failures: 2, baseMs: 1_000, maxMs: 1_500, maxShare: 0.5 } };
    const { clock, level, call, register } = healthScene({ options });
    for (const id of ids(4)) register(id);
    for (const id of ids(4)) call(id, "failed", 2);
    expect(ids(4).map(level)).toEqual(["unhealthy", "unhealthy", "healthy", "healthy"]);
    await clock.advance(1_000);
    call("p0", "failed", 2);
    await clock.advance(1_499);
    expect(level("p0")).toBe("unhealthy");
    await clock.advance(1);
    expect(level("p0")).toBe("healthy");
  });

  it("does not happen when it is turned off", () => {
    const { level, call, register } = healthScene({ options: { ejection: false } });
    for (const id of ["a", "b"]) register(id);
    call("a", "failed", 100);
    expect(level("a")).toBe("healthy");
  });

  it.each([
    { providers: 1, out: 0 },
    { providers: 2, out: 1 },
    { providers: 19, out: 1 },
    { providers: 20, out: 2 },
    { providers: 35, out: 3 },
  ])("keeps out $out of $providers at most", ({ providers, out }) => {
    const { level, call, register } = healthScene();
    for (const id of ids(providers)) register(id);
    for (const id of ids(providers)) call(id, "failed", 20);
    expect(ids(providers).filter((id) => level(id) === "unhealthy")).toHaveLength(out);
  });

  it("counts by service type: a provider stays in if one of its types has no room", () => {
    const { level, call, register } = healthScene();
    for (const id of ids(5)) register(id, "logger");
    register("p0", "storage");
    for (const id of ids(2)) call(id, "failed", 5);
    expect(ids(2).map(level)).toEqual(["healthy", "unhealthy"]);
  });

  it("leaves in who is the last that can be called", () => {
    const { store, events, level, call, monitor, register } = healthScene();
    for (const id of ids(4)) register(id);
    call("p0", "refused");
    monitor.report("p1", reportOf("unhealthy"));
    store.setDraining("p2");
    call("p3", "failed", 20);
    expect(level("p3")).toBe("healthy");
    expect(events.map(({ type }) => type)).toEqual(["died"]);
  });

  it.each<[string, (scene: ReturnType<typeof healthScene>) => void]>([
    ["dies", ({ call }) => call("b", "refused")],
    ["drains", ({ store }) => void store.setDraining("b")],
    ["says that it is unhealthy", ({ monitor }) => monitor.report("b", reportOf("unhealthy"))],
    ["is removed", ({ store }) => void store.removeProvider("b", "removed")],
  ])("ends early when the other one %s", (_what, happen) => {
    const scene = healthScene();
    for (const id of ["a", "b"]) scene.register(id);
    scene.call("a", "failed", 5);
    expect(scene.level("a")).toBe("unhealthy");
    happen(scene);
    expect(scene.level("a")).toBe("healthy");
    expect(scene.events.at(-1)).toEqual({ type: "readmitted", providerId: "a", early: true });
  });

  it("never shields a proven death, nor ends one", async () => {
    const { clock, fake, level, source, call, register } = healthScene();
    for (const id of ["a", "b"]) register(id);
    call("a", "failed", 5);
    fake.set("a", { kind: "refused" });
    await clock.advance(1_100);
    expect([level("a"), source("a")]).toEqual(["unhealthy", "liveness"]);
    await clock.advance(60_000);
    expect([level("a"), source("a")]).toEqual(["unhealthy", "liveness"]);
  });

  it("does not follow from the many calls that one death cuts", async () => {
    const { clock, fake, events, level, call, register } = healthScene();
    for (const id of ["a", "b"]) register(id);
    fake.set("a", { kind: "refused" });
    call("a", "reset", 64);
    await clock.advance(1_100);
    fake.set("a", healthy);
    await clock.advance(1_100);
    expect(level("a")).toBe("healthy");
    expect(events.map(({ type }) => type)).toEqual(["died", "recovered"]);
  });

  it("follows from calls that break although every probe goes well", async () => {
    const { clock, level, source, call, register } = healthScene();
    for (const id of ["a", "b"]) register(id);
    for (let time = 0; time < 5; time++) {
      call("a", "reset");
      await clock.advance(2_000);
    }
    expect([level("a"), source("a")]).toEqual(["unhealthy", "ejection"]);
  });

  it("holds for a service that the provider registers meanwhile, and its count goes with the provider", async () => {
    const { clock, store, level, call, register } = healthScene();
    for (const id of ["a", "b"]) register(id);
    call("a", "failed", 5);
    for (const id of ["b", "a"]) register(id, "storage");
    register("c", "storage");
    call("c", "failed", 5);
    expect(level("c")).toBe("healthy"); // a takes the room
    store.removeProvider("a", "removed");
    call("c", "failed");
    expect(level("c")).toBe("unhealthy");
    await clock.advance(30_000);
    expect(level("c")).toBe("healthy");
  });

  it("leaves no timer when the provider goes", async () => {
    const { clock, store, call, monitor, register } = healthScene();
    for (const id of ["a", "b"]) register(id);
    call("a", "failed", 5);
    store.removeProvider("a", "removed");
    register("a");
    call("a", "failed", 5);
    await monitor.close();
    expect(clock.pending).toBe(0);
  });
});
