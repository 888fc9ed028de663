import type { Measure } from "../table.ts";
import { listLength } from "./item.ts";

/** How many calls are in flight when throughput is measured. */
export const lanes = 64;

const stream = `stream of ${listLength.toLocaleString("en-US")}`;

export const measureNames = {
  small: "100 B echo",
  large: "10 KB echo",
  list: stream,
  smallHere: "100 B echo in this process",
  largeHere: "10 KB echo in this process",
  listHere: `${stream} in this process`,
  smallLanes: `100 B echo, ${lanes} at a time`,
  largeLanes: `10 KB echo, ${lanes} at a time`,
} as const;

/**
 * First what stays in this process, by the time that it computes, related to the variant `here`; then everything, by the
 * time that passes, related to the variant `served`. One call at a time tells the latency; many at a time tell, by their
 * cost each, the throughput.
 */
export function echoMeasures(here: string, served: string): Measure[] {
  const { smallHere, largeHere, listHere, small, large, list, smallLanes, largeLanes } = measureNames;
  return [
    ...[smallHere, largeHere, listHere].map((name): Measure => ({ name, unit: "ns", clock: "cpu", base: here })),
    ...[small, large, list, smallLanes, largeLanes].map((name): Measure => ({ name, unit: "ns", base: served })),
  ];
}
