import type { Need } from "./edges.ts";

/**
 * A circle of plugins that need each other, the first one again at its end. Undefined if there is none among those that are
 * stuck, which a start order that has stuck plugins does not allow.
 */
export function findCycle(stuck: readonly number[], needs: readonly Need[]): readonly number[] | undefined {
  const among = new Set(stuck);
  // Each stuck plugin waits for a stuck one, so following any of them runs into a circle.
  const waitsFor = new Map<number, number>();
  for (const { consumer, providers, required } of needs) {
    if (!required || !among.has(consumer) || waitsFor.has(consumer)) continue;
    const provider = providers.find((candidate) => among.has(candidate));
    if (provider !== undefined) waitsFor.set(consumer, provider);
  }
  const places = new Map<number, number>();
  const path: number[] = [];
  for (let plugin = stuck[0]; plugin !== undefined; plugin = waitsFor.get(plugin)) {
    const begins = places.get(plugin);
    if (begins !== undefined) return [...path.slice(begins), plugin];
    places.set(plugin, path.length);
    path.push(plugin);
  }
  return undefined;
}
