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

/** One call at a time tells the latency; many at a time tell, by their cost each, the throughput. */
export function echoMeasures(alone: string, served: string): Measure[] {
  return [
    { name: measureNames.small, unit: "ns", base: alone },
    { name: measureNames.large, unit: "ns", base: alone },
    { name: measureNames.list, unit: "ns", base: alone },
    { name: measureNames.smallLanes, unit: "ns", base: served },
    { name: measureNames.largeLanes, unit: "ns", base: served },
  ];
}
