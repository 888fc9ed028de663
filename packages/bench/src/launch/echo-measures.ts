import type { Measure } from "../table.ts";
import { listLength } from "./item.ts";

/** How many calls are in flight when throughput is measured. */
export const lanes = 64;

export const measureNames = {
  small: "100 B echo",
  large: "10 KB echo",
  list: `stream of ${listLength.toLocaleString("en-US")}`,
  smallLanes: `100 B echo, ${lanes} at a time`,
  largeLanes: `10 KB echo, ${lanes} at a time`,
} as const;

const { small, large, list, smallLanes, largeLanes } = measureNames;

/** What stays in this process, by the time that its thread computes. */
export function measuresHere(base: string): Measure[] {
  return [small, large, list].map((name) => ({ name, unit: "ns", clock: "cpu", base }));
}

/** Everything, by the time that passes. One call at a time tells the latency; many, by their cost each, the throughput. */
export function measuresEverywhere(base: string): Measure[] {
  return [small, large, list, smallLanes, largeLanes].map((name) => ({ name, unit: "ns", base }));
}
