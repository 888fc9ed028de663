import type { Clock } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { register } from "../../test/support/facts.ts";
import { createRegistryStore } from "../state/create-registry-store.ts";
import { createLeaseKeeper } from "./lease-keeper.ts";

function setup() {
  const clock = new FakeClock();
  const store = createRegistryStore();
  const ended: string[] = [];
  store.onChange((change) => {
    if (change.type === "unregistered") ended.push(`${change.registration.type} ${change.cause}`);
  });
  const errors: unknown[] = [];
  const leases = createLeaseKeeper(store, clock, (error) => errors.push(error));
  const lease = (type: string, leaseMs: number | undefined) => {
    const registration = register(store, "a", type, { leaseMs });
    leases.renew(registration);
    return registration;
  };
  return { clock, store, ended, errors, leases, lease };
}

describe("leases", () => {
  it("end when their time is over, each by itself", async () => {
    const { clock, ended, lease } = setup();
    lease("x", 1_000);
    lease("y", 2_000);
    lease("z", undefined);
    await clock.advance(999);
    expect(ended).toEqual([]);
    await clock.advance(1);
    expect(ended).toEqual(["x lease-ended"]);
    await clock.advance(100_000);
    expect(ended).toEqual(["x lease-ended", "y lease-ended"]);
    expect(clock.pending).toBe(0);
  });

  it.each([
    ["begin anew when they are renewed", 1_000, 1_500],
    ["may become longer", 5_000, 5_500],
    ["may become shorter", 100, 600],
  ])("%s", async (_, leaseMs, endsAtMs) => {
    const { clock, ended, lease } = setup();
    lease("x", 1_000);
    await clock.advance(500);
    lease("x", leaseMs);
    await clock.advance(endsAtMs - 501);
    expect(ended).toEqual([]);
    await clock.advance(1);
    expect(ended).toEqual(["x lease-ended"]);
    expect(clock.pending).toBe(0);
  });

  it("are gone when the registration is made again without one", async () => {
    const { clock, ended, lease } = setup();
    lease("x", 1_000);
    lease("x", undefined);
    expect(clock.pending).toBe(0);
    await clock.advance(10_000);
    expect(ended).toEqual([]);
  });

  it("do not end what lost its lease in the very moment in which it ran out", async () => {
    const store = createRegistryStore();
    const { promise, resolve } = Promise.withResolvers<void>();
    let nowMs = 0;
    const clock: Clock = { now: () => nowMs, monotonic: () => nowMs, sleep: () => promise };
    const leases = createLeaseKeeper(store, clock, () => {});
    leases.renew(register(store, "a", "x", { leaseMs: 1_000 }));
    nowMs = 1_000;
    resolve();
    leases.renew(register(store, "a", "x", { leaseMs: undefined }));
    await new Promise((done) => setImmediate(done));
    expect(store.types()).toEqual(["x"]);
  });

  it("leave no timer when the registration goes, or the keeper is closed", async () => {
    const { clock, store, errors, leases, lease } = setup();
    lease("x", 1_000);
    lease("y", 1_000);
    store.unregister(store.find("x", "a")?.id ?? "", "unregistered");
    expect(clock.pending).toBe(1);
    leases.close();
    leases.close();
    await clock.advance(10_000);
    expect(clock.pending).toBe(0);
    expect(store.types()).toEqual(["y"]);
    expect(errors).toEqual([]);
  });
});
