import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { register } from "../../test/support/facts.ts";
import { createRegistryStore } from "../state/create-registry-store.ts";
import { watchOwnRegistrations } from "./own-registrations.ts";

const never = new AbortController().signal;

function start() {
  const clock = new FakeClock();
  const store = createRegistryStore();
  return { clock, store, watch: () => watchOwnRegistrations(store, "p", clock) };
}

describe("waiting for what a plugin registers itself", () => {
  it("ends with the last of the types, and leaves no timer", async () => {
    const { clock, store, watch } = start();
    register(store, "p", "a");
    const own = watch();
    const waiting = own.wait(["a", "b", "c"], 1_000, never);
    register(store, "other", "b");
    register(store, "p", "b");
    expect(clock.pending).toBe(1);
    register(store, "p", "c");
    await waiting;
    expect(clock.pending).toBe(0);
    await own.wait(["a"], 1_000, never);
    await own.wait([], 1_000, never);
  });

  it("ends when the time is over, and tells what is missing", async () => {
    const { clock, store, watch } = start();
    const own = watch();
    const waiting = own.wait(["a", "b"], 1_000, never);
    register(store, "p", "a");
    await clock.advance(1_000);
    await waiting;
    expect(["a", "b"].map(own.has)).toEqual([true, false]);
  });

  it("counts what was taken back since: that was the plugin's own decision", async () => {
    const { store, watch } = start();
    const own = watch();
    const { id } = register(store, "p", "a");
    store.unregister(id, "unregistered");
    expect(own.has("a")).toBe(true);
    own.stop();
    register(store, "p", "b");
    expect(own.has("b")).toBe(false);
  });

  it("ends with the signal", async () => {
    const { clock, watch } = start();
    const gone = new AbortController();
    const own = watch();
    const waiting = own.wait(["a"], 1_000, gone.signal);
    gone.abort("gone");
    await expect(waiting).rejects.toBe("gone");
    await expect(own.wait([], 1_000, gone.signal)).rejects.toBe("gone");
    expect(clock.pending).toBe(0);
  });
});
