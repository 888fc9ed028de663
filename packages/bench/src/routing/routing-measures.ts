import type { Measure } from "../table.ts";

/** How many calls are in flight when throughput is measured. */
export const lanes = 64;
export const listLength = 1_000;

export const routingMeasures = {
  median: "one call, median of many",
  lanes: `100 B echo, ${lanes} at a time`,
  list: `stream of ${listLength.toLocaleString("en-US")}`,
  cpu: "CPU time of what is between, per call",
} as const;

export function measuresOf(base: string): Measure[] {
  const { median, lanes: many, list, cpu } = routingMeasures;
  return [
    { name: median, unit: "ns", base },
    { name: many, unit: "ns", base },
    { name: list, unit: "ns", base },
    { name: cpu, unit: "ns", base: "router" },
  ];
}
