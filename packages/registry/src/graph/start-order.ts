import type { Edges } from "./edges.ts";

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
export function findStartOrder(count: number, edges: Edges): StartOrder {
  const first = sortOnce(count, edges, undefined);
  if (first.stuck.length === 0 || edges.required.every((required) => required === 1)) return first;
  return sortOnce(count, edges, needsThatGiveWay(edges, new Set(first.stuck)));
}

/** By the number of the requirement: 1 for those without which a plugin can do, and which are in the way. */
function needsThatGiveWay({ count, consumers, providers, needOf, required }: Edges, stuck: ReadonlySet<number>) {
  const giveWay = new Uint8Array(required.length);
  for (let arrow = 0; arrow < count; arrow++) {
    const need = at(needOf, arrow);
    if (required[need] !== 1 && stuck.has(at(consumers, arrow)) && stuck.has(at(providers, arrow))) giveWay[need] = 1;
  }
  return giveWay;
}

function sortOnce(count: number, edges: Edges, giveWay: Uint8Array | undefined): StartOrder {
  const isHeeded = (arrow: number): boolean => giveWay?.[at(edges.needOf, arrow)] !== 1;
  // Consumers of each plugin, one after the other in one array: those of plugin p lie from starts[p] to starts[p + 1].
  const starts = new Int32Array(count + 1);
  const waitsFor = new Int32Array(count);
  for (let arrow = 0; arrow < edges.count; arrow++) {
    if (!isHeeded(arrow)) continue;
    const after = at(edges.providers, arrow) + 1;
    const consumer = at(edges.consumers, arrow);
    starts[after] = at(starts, after) + 1;
    waitsFor[consumer] = at(waitsFor, consumer) + 1;
  }
  for (let plugin = 0; plugin < count; plugin++) starts[plugin + 1] = at(starts, plugin + 1) + at(starts, plugin);
  const consumers = new Int32Array(at(starts, count));
  const next = starts.slice();
  for (let arrow = 0; arrow < edges.count; arrow++) {
    if (!isHeeded(arrow)) continue;
    const provider = at(edges.providers, arrow);
    const place = at(next, provider);
    consumers[place] = at(edges.consumers, arrow);
    next[provider] = place + 1;
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
