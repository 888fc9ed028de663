import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { healthScene, healthy, reportOf, says } from "../../test/support/health-scene.ts";

const refused = { kind: "refused" } as const;

describe("health by probes", () => {
  it.each([
    { number: 0, atMs: [1_000, 1_900, 2_800, 3_700] },
    { number: 0.5, atMs: [1_050, 2_050, 3_050, 4_050] },
    { number: 1, atMs: [1_100, 2_200, 3_300, 4_400] },
  ])(
    "asks after the grace, then at the interval, both longer or shorter by chance ($number)",
    async ({ number, atMs }) => {
      const clock = new FakeClock();
      const askedAtMs: number[] = [];
      const ask = async () => {
        askedAtMs.push(clock.monotonic());
        return healthy;
      };
      const probe = { open: () => ({ ask, close: async () => {} }) };
      const { register } = healthScene({ clock, probe, random: () => number });
      register("a");
      await clock.advance(4_400);
      expect(askedAtMs).toEqual(atMs.map((ms) => expect.closeTo(ms, 3)));
    },
  );

  it("asks providers that were registered before it began", async () => {
    const { store, register } = healthScene();
    register("a");
    const { clock, fake } = healthScene({ store });
    await clock.advance(1_100);
    expect(fake.asked).toEqual(["a"]);
  });

  it("hides a provider that is silent from a moment on within 5 s, and shows it again with one good probe", async () => {
    for (const number of [0, 0.5, 1 - Number.EPSILON]) {
      const { clock, fake, events, level, monitor, register } = healthScene({ random: () => number });
      register("a");
      await clock.advance(1_200);
      expect(level("a")).toBe("healthy");
      fake.set("a", "hang");
      await clock.advance(2_000);
      expect(level("a")).toBe("healthy");
      await clock.advance(3_000);
      expect(level("a")).toBe("unhealthy");
      fake.set("a", healthy);
      await clock.advance(2_200);
      expect(level("a")).toBe("healthy");
      expect(events).toEqual([
        { type: "silent", providerId: "a" },
        { type: "recovered", providerId: "a" },
      ]);
      await monitor.close();
    }
  });

  it("hides a provider that was silent from the beginning within 5 s", async () => {
    const { clock, fake, level, register } = healthScene({ random: () => 1 - Number.EPSILON });
    fake.set("a", "hang");
    register("a");
    await clock.advance(5_000);
    expect(level("a")).toBe("unhealthy");
  });

  it.each(["refused", "reset"] as const)("hides a provider at once whose connection is %s", async (kind) => {
    const { clock, fake, events, level, source, register } = healthScene();
    fake.set("a", { kind });
    register("a");
    await clock.advance(1_050);
    expect([level("a"), source("a")]).toEqual(["unhealthy", "liveness"]);
    expect(events).toEqual([{ type: "died", providerId: "a", proof: kind, by: "probe" }]);
    fake.set("a", healthy);
    await clock.advance(1_000);
    expect(level("a")).toBe("healthy");
  });

  it("takes a provider's word, and forgets it when it has none any more", async () => {
    const { clock, fake, level, source, register } = healthScene();
    register("a");
    fake.set("a", says("degraded"));
    await clock.advance(1_050);
    expect([level("a"), source("a")]).toEqual(["degraded", "probe"]);
    fake.set("a", says("unhealthy"));
    await clock.advance(1_000);
    expect(level("a")).toBe("unhealthy");
    fake.set("a", healthy);
    await clock.advance(1_000);
    expect([level("a"), source("a")]).toEqual(["healthy", "assumed"]);
  });

  it("learns nothing from a probe that failed on this side", async () => {
    const { clock, fake, level, events, register } = healthScene();
    register("a");
    fake.set("a", { kind: "inconclusive" });
    await clock.advance(20_000);
    expect(level("a")).toBe("healthy");
    fake.set("a", refused);
    await clock.advance(1_000);
    fake.set("a", { kind: "inconclusive" });
    await clock.advance(20_000);
    expect(level("a")).toBe("unhealthy");
    expect(events).toHaveLength(1);
  });

  it("learns nothing from time-outs while this process was held up itself", async () => {
    class HeldUpClock extends FakeClock {
      lostMs = 0;
      override monotonic(): number {
        return super.monotonic() + this.lostMs;
      }
    }
    const clock = new HeldUpClock();
    const { fake, level, register } = healthScene({ clock });
    register("a");
    fake.set("a", "hang");
    for (let probe = 0; probe < 10; probe++) {
      await clock.advance(500);
      clock.lostMs += 2_000;
    }
    expect(fake.asked.length).toBeGreaterThanOrEqual(3);
    expect(level("a")).toBe("healthy");
  });

  it("says what goes wrong in a probe of the user's making, and goes on", async () => {
    const { clock, errors, level, register } = healthScene({
      probe: {
        open() {
          throw new Error("broken");
        },
      },
    });
    register("a");
    await clock.advance(3_100);
    expect(errors).toHaveLength(3);
    expect(level("a")).toBe("healthy");
  });

  it("keeps a connection, opens a new one after a failure and for a new address, and closes it in the end", async () => {
    const scene = healthScene();
    const { clock, fake, store, register } = scene;
    register("a");
    await clock.advance(5_000);
    expect(fake.opened).toBe(1);
    fake.set("a", refused);
    await clock.advance(2_000);
    fake.set("a", healthy);
    expect(fake.opened).toBe(2);
    await clock.advance(1_000);
    expect(fake.opened).toBe(3);
    register("a", "logger", {
      upstream: { kind: "unix", path: "/tmp/b.sock", authority: "x", basePath: "", http: "2" },
    });
    await clock.advance(2_000);
    expect([fake.opened, fake.asked.at(-1)]).toEqual([4, "b"]);
    expect([...fake.open]).toEqual(["b 4"]);
    store.removeProvider("a", "removed");
    await clock.advance(0);
    expect([...fake.open]).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it("asks no more than so many at a time, and everybody in turn", async () => {
    const { clock, fake, register } = healthScene({ options: { maxProbes: 2, timeoutMs: 100 } });
    for (const id of ["a", "b", "c", "d", "e"]) {
      fake.set(id, "hang");
      register(id);
    }
    await clock.advance(10_000);
    expect(fake.mostUnderWay).toBe(2);
    for (const id of ["a", "b", "c", "d", "e"]) {
      expect(fake.asked.filter((asked) => asked === id).length).toBeGreaterThanOrEqual(9);
    }
  });

  it("leaves nothing behind when it is closed, a probe under way included", async () => {
    const { clock, fake, store, monitor, identities, errors, register } = healthScene();
    for (const id of ["a", "b"]) register(id);
    fake.set("a", "hang");
    await clock.advance(1_500);
    await monitor.close();
    await monitor.close();
    expect([clock.pending, fake.open.size, identities.listeners]).toEqual([0, 0, 0]);
    monitor.report("a", reportOf("degraded"));
    monitor.callEnded("a", "refused");
    register("c");
    await clock.advance(5_000);
    expect(fake.asked).toHaveLength(2);
    expect(store.provider("a")?.health.level).toBe("healthy");
    expect(errors).toEqual([]);
  });
});

describe("health by reports", () => {
  it("is the worse of the last report and a probe's opinion", async () => {
    const { clock, fake, level, source, monitor, register } = healthScene();
    register("a");
    monitor.report("a", reportOf("degraded"));
    expect([level("a"), source("a")]).toEqual(["degraded", "report"]);
    fake.set("a", says("healthy"));
    await clock.advance(2_000);
    expect(level("a")).toBe("degraded");
    fake.set("a", says("unhealthy"));
    await clock.advance(1_000);
    expect([level("a"), source("a")]).toEqual(["unhealthy", "probe"]);
  });

  it("asks at once when a report is better than what the provider said to the last probe", async () => {
    const { clock, fake, level, monitor, register } = healthScene();
    register("a");
    fake.set("a", says("unhealthy"));
    await clock.advance(1_050);
    fake.set("a", says("healthy"));
    monitor.report("a", reportOf("healthy"));
    expect(level("a")).toBe("unhealthy");
    await clock.advance(0);
    expect(level("a")).toBe("healthy");
  });

  it("keeps the report of who has not registered yet, until it does", () => {
    const { level, source, monitor, register } = healthScene();
    monitor.report("a", reportOf("unhealthy"));
    monitor.report("a", reportOf("degraded"));
    register("a");
    expect([level("a"), source("a")]).toEqual(["degraded", "report"]);
  });

  it("keeps the report of who provides nothing for a while", () => {
    const { store, level, monitor, register } = healthScene();
    const { id } = register("a");
    monitor.report("a", reportOf("degraded"));
    store.unregister(id, "unregistered");
    register("a", "storage");
    expect(level("a")).toBe("degraded");
  });

  it("forgets the report of an identity that ends, and takes none of one that has ended", () => {
    const { level, monitor, identities, register } = healthScene();
    monitor.report("a", reportOf("unhealthy"));
    identities.end("a", "released");
    monitor.report("a", reportOf("unhealthy"));
    register("a");
    expect(level("a")).toBe("healthy");
  });

  it("keeps so many early reports, and the newest of them", () => {
    const { level, monitor, register } = healthScene();
    for (let number = 0; number < 1_000; number++) monitor.report(`p${number}`, reportOf("degraded"));
    for (const id of ["p0", "p1000"]) monitor.report(id, reportOf("degraded"));
    for (const id of ["p0", "p1", "p2", "p1000"]) register(id);
    expect(["p0", "p1", "p2", "p1000"].map(level)).toEqual(["degraded", "healthy", "degraded", "degraded"]);
  });

  it("does not let a report bring back who is gone", async () => {
    const { clock, fake, level, monitor, register } = healthScene();
    register("a");
    fake.set("a", refused);
    await clock.advance(1_050);
    monitor.report("a", reportOf("healthy"));
    expect(level("a")).toBe("unhealthy");
  });
});

describe("liveness by calls", () => {
  it.each(["refused", "reset"] as const)(
    "hides a provider at once when a call is %s, and asks it at once",
    async (kind) => {
      const { clock, fake, events, level, call, register } = healthScene();
      register("a");
      await clock.advance(1_100);
      fake.set("a", refused);
      call("a", kind);
      expect(level("a")).toBe("unhealthy");
      await clock.advance(0);
      expect(fake.asked).toHaveLength(2);
      expect(events).toEqual([{ type: "died", providerId: "a", proof: kind, by: "call" }]);
    },
  );

  it("shows a provider again at once that was only rude to one call, but not more often than the interval", async () => {
    const { clock, fake, level, call, register } = healthScene();
    register("a");
    await clock.advance(1_100);
    for (let time = 0; time < 4; time++) {
      call("a", "reset");
      await clock.advance(10);
    }
    expect(fake.asked).toHaveLength(2);
    expect(level("a")).toBe("unhealthy");
    await clock.advance(1_000);
    expect(level("a")).toBe("healthy");
  });

  it("does not believe a probe that began before a call proved the death", async () => {
    const answer = Promise.withResolvers<typeof healthy>();
    let asked = 0;
    const { clock, events, level, call, register } = healthScene({
      probe: {
        open: () => ({
          ask: () => (++asked === 1 ? answer.promise : Promise.resolve(refused)),
          close: async () => {},
        }),
      },
    });
    register("a");
    await clock.advance(1_100);
    call("a", "refused");
    answer.resolve(healthy);
    await answer.promise;
    await clock.advance(0);
    expect(level("a")).toBe("unhealthy");
    expect(asked).toBe(2);
    expect(events.map(({ type }) => type)).toEqual(["died"]);
  });

  it("knows nothing of providers that are not registered", () => {
    const { call, events } = healthScene();
    call("nobody", "refused");
    expect(events).toEqual([]);
  });
});

describe("protection against mass expiry", () => {
  const ids = (count: number) => Array.from({ length: count }, (_, index) => `p${index}`);

  it("hides no more than half of ten providers that time out together, and tells once", async () => {
    const { clock, fake, events, level, register } = healthScene();
    for (const id of ids(10)) register(id);
    await clock.advance(1_100);
    for (const id of ids(10)) fake.set(id, "hang");
    await clock.advance(20_000);
    expect(ids(10).filter((id) => level(id) === "unhealthy")).toHaveLength(5);
    expect(events.filter(({ type }) => type === "mass-silence")).toEqual([
      { type: "mass-silence", serviceType: "logger", providers: 10, hidden: 5 },
    ]);
    for (const id of ids(10)) fake.set(id, healthy);
    await clock.advance(2_100);
    expect(ids(10).filter((id) => level(id) === "unhealthy")).toEqual([]);
    expect(events.filter(({ type }) => type === "mass-silence-ended")).toHaveLength(1);
  });

  it("hides who is silent still once most of the others are back", async () => {
    const { clock, fake, level, register } = healthScene();
    for (const id of ids(10)) {
      fake.set(id, "hang");
      register(id);
    }
    await clock.advance(20_000);
    const shown = ids(10).filter((id) => level(id) === "healthy");
    for (const id of ids(10)) fake.set(id, shown.includes(id) ? "hang" : healthy);
    await clock.advance(5_000);
    expect(ids(10).filter((id) => level(id) === "unhealthy")).toEqual(shown);
  });

  it("hides all of nine", async () => {
    const { clock, fake, level, register } = healthScene();
    for (const id of ids(9)) {
      fake.set(id, "hang");
      register(id);
    }
    await clock.advance(5_000);
    expect(ids(9).filter((id) => level(id) === "unhealthy")).toHaveLength(9);
  });

  it("never protects who is proven dead", async () => {
    const { clock, fake, events, level, register } = healthScene();
    for (const id of ids(20)) {
      fake.set(id, refused);
      register(id);
    }
    await clock.advance(1_100);
    expect(ids(20).filter((id) => level(id) === "unhealthy")).toHaveLength(20);
    expect(events.filter(({ type }) => type === "mass-silence")).toEqual([]);
  });

  it("counts by service type: one type that is protected protects", async () => {
    const { clock, fake, level, register } = healthScene({
      options: { massSilence: { minProviders: 2, maxShare: 0.5 } },
    });
    for (const id of ["a", "b", "c"]) register(id, "logger");
    register("a", "storage");
    register("b", "storage");
    fake.set("b", "hang");
    fake.set("c", "hang");
    await clock.advance(10_000);
    expect([level("b"), level("c")].sort()).toEqual(["healthy", "unhealthy"]);
  });

  it("counts a hidden provider also for a service that it registers later", async () => {
    const { clock, fake, level, register } = healthScene({
      options: { massSilence: { minProviders: 2, maxShare: 0.5 } },
    });
    for (const id of ["a", "b", "c", "d"]) register(id, "logger");
    fake.set("a", "hang");
    await clock.advance(5_000);
    for (const id of ["a", "b"]) register(id, "storage");
    fake.set("b", "hang");
    await clock.advance(10_000);
    expect([level("a"), level("b")]).toEqual(["unhealthy", "healthy"]);
  });

  it("ends with the last provider that it protects", async () => {
    const { clock, fake, events, store, level, register } = healthScene({
      options: { massSilence: { minProviders: 2, maxShare: 0.5 } },
    });
    for (const id of ["a", "b"]) {
      fake.set(id, "hang");
      register(id);
    }
    await clock.advance(10_000);
    const [shielded = ""] = ["a", "b"].filter((id) => level(id) === "healthy");
    store.removeProvider(shielded, "revoked");
    expect(events.at(-1)).toEqual({ type: "mass-silence-ended", serviceType: "logger" });
  });
});

describe("a provider whose token has expired", () => {
  it("stays while it answers, and goes when it does not", async () => {
    const { clock, fake, store, events, identities, register } = healthScene();
    register("a");
    await clock.advance(1_100);
    identities.end("a", "expired");
    await clock.advance(20_000);
    expect(store.provider("a")).toBeDefined();
    fake.set("a", refused);
    await clock.advance(1_000);
    expect(store.provider("a")).toBeUndefined();
    expect(events.at(-1)).toEqual({ type: "expired", providerId: "a" });
  });

  it("goes when it is silent for too long", async () => {
    const { clock, fake, store, identities, register } = healthScene();
    register("a");
    identities.end("a", "expired");
    fake.set("a", "hang");
    await clock.advance(5_000);
    expect(store.provider("a")).toBeUndefined();
  });

  it("goes at once if it is dead already", async () => {
    const { clock, fake, store, identities, register } = healthScene();
    register("a");
    fake.set("a", refused);
    await clock.advance(1_100);
    expect(store.provider("a")).toBeDefined();
    identities.end("a", "expired");
    expect(store.provider("a")).toBeUndefined();
  });

  it("is asked before one failed call removes it for good", async () => {
    const { clock, store, identities, call, level, register } = healthScene();
    register("a");
    identities.end("a", "expired");
    call("a", "reset");
    expect(level("a")).toBe("unhealthy");
    await clock.advance(0);
    expect(level("a")).toBe("healthy");
    expect(store.provider("a")).toBeDefined();
  });
});
