import type { Table } from "../table.ts";
import { discoverMeasure, discoverVariants, healthCheck } from "./discover-variants.ts";
import { memoryMeasure, memoryVariants, registrationBytes } from "./memory-variants.ts";
import { mapKahn, ourGraph, startOrderMeasure, startOrderVariants } from "./start-order-variants.ts";
import { callbackLoop, changeMeasure, followName, watcherVariants } from "./watcher-variants.ts";

/** What the registry costs: who is told, who is found, in which order plugins start, what each thing holds. */
export const registryTable: Table = {
  name: "registry",
  title: "what the registry costs",
  measures: [
    { name: changeMeasure, unit: "ns", clock: "cpu", base: callbackLoop },
    { name: discoverMeasure, unit: "ns", base: healthCheck },
    { name: startOrderMeasure, unit: "ms", base: mapKahn },
    { name: memoryMeasure, unit: "count", base: registrationBytes },
  ],
  variants: [...watcherVariants, ...discoverVariants, ...startOrderVariants, ...memoryVariants],
  goals: [
    { measure: changeMeasure, of: followName, to: callbackLoop, ratio: "cost", bound: { atMost: 30 } },
    { measure: startOrderMeasure, of: ourGraph, to: mapKahn, ratio: "cost", bound: { atMost: 0.5 } },
  ],
};
