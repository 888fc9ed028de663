import type { Need } from "./edges.ts";

export interface StartOrder {
  /** Plugins that can start together, layer after layer: each comes after every provider of what it needs. */
  readonly layers: readonly (readonly number[])[];
  /** Plugins that need each other, or something that does: none of them is in a layer. */
  readonly stuck: readonly number[];
}

/**
 * Kahn's algorithm (A. B. Kahn, Topological sorting of large networks, 1962) on arrays of numbers, O(plugins + edges).
 * Among plugins that would wait for each other for ever, needs that are not required give way.
 */
export function findStartOrder(count: number, needs: readonly Need[]): StartOrder {
  const first = sortOnce(count, needs);
  if (first.stuck.length === 0 || needs.every(({ required }) => required)) return first;
  const stuck = new Set(first.stuck);
  const heeded = needs.filter(
    ({ required, consumer, providers }) =>
      required || !stuck.has(consumer) || !providers.some((provider) => stuck.has(provider)),
  );
  return sortOnce(count, heeded);
}

function sortOnce(count: number, needs: readonly Need[]): StartOrder {
  // Consumers of each plugin, one after the other in one array: those of plugin p lie from starts[p] to starts[p + 1].
  const starts = new Int32Array(count + 1);
  const waitsFor = new Int32Array(count);
  for (const { consumer, providers } of needs) {
    for (const provider of providers) {
      starts[provider + 1] = at(starts, provider + 1) + 1;
      waitsFor[consumer] = at(waitsFor, consumer) + 1;
    }
  }
  for (let plugin = 0; plugin < count; plugin++) starts[plugin + 1] = at(starts, plugin + 1) + at(starts, plugin);
  const consumers = new Int32Array(at(starts, count));
  const next = starts.slice();
  for (const { consumer, providers } of needs) {
    for (const provider of providers) {
      const place = at(next, provider);
      consumers[place] = consumer;
      next[provider] = place + 1;
    }
  }

  const layers: number[][] = [];
  let layer: number[] = [];
  for (let plugin = 0; plugin < count; plugin++) if (waitsFor[plugin] === 0) layer.push(plugin);
  while (layer.length > 0) {
    layers.push(layer);
    const after: number[] = [];
    for (const plugin of layer) {
      for (let place = at(starts, plugin); place < at(starts, plugin + 1); place++) {
        const consumer = at(consumers, place);
        const left = at(waitsFor, consumer) - 1;
        waitsFor[consumer] = left;
        if (left === 0) after.push(consumer);
      }
    }
    layer = after;
  }
  const stuck: number[] = [];
  for (let plugin = 0; plugin < count; plugin++) if (at(waitsFor, plugin) > 0) stuck.push(plugin);
  return { layers, stuck };
}

/** Every index here is one of the arrays'. */
function at(numbers: Int32Array, index: number): number {
  return numbers[index] ?? 0;
}
