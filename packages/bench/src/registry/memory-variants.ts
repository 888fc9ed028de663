import { setImmediate } from "node:timers/promises";
import { createRegistryStore, createWatchHub } from "@cpg/registry/state";
import type { Variant } from "../table.ts";
import { providerFacts, serviceFacts } from "./registered-services.ts";

export const memoryMeasure = "bytes of memory for each";
export const registrationBytes = "registration, each of a provider of its own";
const watcherBytes = "watcher that waits";

const counts = { short: 500, full: 9_000 };

/** Bytes that stay on the heap for each of what `fill` makes; `fill` returns what holds them. */
async function bytesOfEach(count: number, fill: () => Promise<object>): Promise<number> {
  const collect = globalThis.gc ?? (() => {});
  await setImmediate();
  collect();
  const before = process.memoryUsage().heapUsed;
  const held = await fill();
  await setImmediate();
  collect();
  const bytes = (process.memoryUsage().heapUsed - before) / count;
  return held === undefined ? Number.NaN : bytes;
}

function memoryVariant(name: string, fill: (count: number) => Promise<object>): Variant {
  return {
    name,
    setup: async () => ({
      cases: new Map([
        [
          memoryMeasure,
          { kind: "figure", figure: (_seed, size) => bytesOfEach(counts[size], () => fill(counts[size])) },
        ],
      ]),
      close: async () => {},
    }),
  };
}

export const memoryVariants: readonly Variant[] = [
  memoryVariant(registrationBytes, async (count) => {
    const store = createRegistryStore();
    for (let index = 0; index < count; index++)
      store.register(providerFacts(index), serviceFacts(`type-${index % 100}`));
    return store;
  }),
  memoryVariant(watcherBytes, async (count) => {
    const store = createRegistryStore();
    store.register(providerFacts(0), serviceFacts("watched"));
    const hub = createWatchHub({ store });
    const reads: Promise<unknown>[] = [];
    for (let index = 0; index < count; index++) {
      const watch = hub.watch("watched");
      await watch.next();
      reads.push(watch.next());
    }
    return [hub, reads];
  }),
];
