import assert from "node:assert/strict";
import { createDependencyGraph, type GraphPlugin } from "@cpg/registry";
import type { Variant } from "../table.ts";
import { kahnOnMaps, largeGraph } from "./large-graph.ts";

export const startOrderMeasure = "start order of 100,000 plugins";
export const ourGraph = "createDependencyGraph";
export const mapKahn = "Kahn's algorithm on Maps";

const sizes = { short: 1_000, full: 100_000 };

function orderVariant(name: string, order: (plugins: readonly GraphPlugin[]) => number): Variant {
  return {
    name,
    async setup() {
      const graphs = new Map<string, readonly GraphPlugin[]>();
      return {
        cases: new Map([
          [
            startOrderMeasure,
            {
              kind: "figure",
              async figure(_seed, size) {
                const plugins = graphs.get(size) ?? largeGraph(sizes[size]);
                graphs.set(size, plugins);
                const start = process.cpuUsage();
                const placed = order(plugins);
                const { user, system } = process.cpuUsage(start);
                assert.equal(placed, plugins.length, "not every plugin has a place");
                return (user + system) / 1_000;
              },
            },
          ],
        ]),
        close: async () => {},
      };
    },
  };
}

export const startOrderVariants: readonly Variant[] = [
  orderVariant(mapKahn, kahnOnMaps),
  orderVariant(ourGraph, (plugins) => {
    let placed = 0;
    for (const layer of createDependencyGraph(plugins).layers) placed += layer.length;
    return placed;
  }),
];
