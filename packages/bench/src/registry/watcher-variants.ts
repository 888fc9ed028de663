import assert from "node:assert/strict";
import { createRegistryStore, createWatchHub, type RegistryStore } from "@cpg/registry/state";
import type { Subject, TimedCase, Variant } from "../table.ts";
import { providerFacts, serviceFacts } from "./registered-services.ts";

export const changeMeasure = "one change told to 10,000 watchers";
export const callbackLoop = "a bare loop over callbacks";
const watchName = "watch (async iterators)";
export const followName = "follow (callbacks)";

const watchers = 10_000;
const type = "watched";

/** A registry of one provider, whose health changes with each call of `change`. */
function changingStore(): { readonly store: RegistryStore; change(): void } {
  const store = createRegistryStore();
  store.register(providerFacts(0), serviceFacts(type));
  let degraded = false;
  return {
    store,
    change() {
      degraded = !degraded;
      const level = degraded ? "degraded" : "healthy";
      store.setHealth(providerFacts(0).id, { level, source: "report", reason: "", unavailableDependencies: [] });
    },
  };
}

function subject(tell: () => Promise<void>, close: () => void): Subject {
  const work: TimedCase = {
    kind: "timed",
    check: tell,
    async run(calls) {
      for (let call = 0; call < calls; call++) await tell();
    },
  };
  return { cases: new Map([[changeMeasure, work]]), close: async () => close() };
}

export const watcherVariants: readonly Variant[] = [
  {
    name: callbackLoop,
    async setup() {
      let told = 0;
      const callbacks = Array.from({ length: watchers }, () => (view: object) => {
        if (view !== undefined) told++;
      });
      return subject(
        async () => {
          told = 0;
          const view = {};
          for (const callback of callbacks) callback(view);
          assert.equal(told, watchers);
        },
        () => {},
      );
    },
  },
  {
    name: followName,
    async setup() {
      const { store, change } = changingStore();
      const hub = createWatchHub({ store });
      let told = 0;
      for (let watcher = 0; watcher < watchers; watcher++) hub.follow(type, () => void told++);
      return subject(
        async () => {
          told = 0;
          change();
          assert.equal(told, watchers);
        },
        () => hub.close(),
      );
    },
  },
  {
    name: watchName,
    async setup() {
      const { store, change } = changingStore();
      const hub = createWatchHub({ store });
      let told = 0;
      let onAll = (): void => {};
      const read = async (): Promise<void> => {
        for await (const _ of hub.watch(type)) {
          told++;
          if (told === watchers) onAll();
        }
      };
      const all = (): Promise<void> => {
        told = 0;
        return new Promise((resolve) => {
          onAll = resolve;
        });
      };
      const snapshots = all();
      for (let watcher = 0; watcher < watchers; watcher++) read().catch(() => {}); // ends with the hub
      await snapshots;
      return subject(
        async () => {
          const told = all();
          change();
          await told;
        },
        () => hub.close(),
      );
    },
  },
];
