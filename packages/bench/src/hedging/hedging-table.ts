import { hedging } from "@cpg/resilience";
import type { Case, Table, Variant } from "../table.ts";
import { type SimulatedCalls, type Simulation, simulateCalls } from "./simulate-calls.ts";

const p99 = "p99 of the latency";
const load = "calls to backends for each call";
const without = "without hedging";
const learned = "hedging, delay learned";
const fixed = "hedging after 20 ms";

const calls = { short: 200, full: 10_000 };

/** What hedging does to the slowest calls, and what it costs the backends. */
export const hedgingTable: Table = {
  name: "hedging",
  title: "three backends, 3 % of the calls to them take 20 times as long (simulated)",
  measures: [
    { name: p99, unit: "ms", base: without },
    { name: load, unit: "count", base: without },
  ],
  variants: [
    simulatedVariant(without, () => []),
    simulatedVariant(learned, ({ clock }) => [hedging({ clock })]),
    simulatedVariant(fixed, ({ clock }) => [hedging({ clock, delayMs: 20 })]),
  ],
  goals: [learned, fixed].flatMap((variant) => [
    { measure: p99, of: variant, to: without, ratio: "cost", bound: { atMost: 0.5 } },
    { measure: load, of: variant, to: without, ratio: "cost", bound: { atMost: 1.05 } },
  ]),
};

function simulatedVariant(
  name: string,
  createInterceptors: (simulation: Simulation) => ReturnType<typeof hedging>[],
): Variant {
  return {
    name,
    async setup() {
      // Both measures are of the same simulation.
      let latest: { readonly seed: number; readonly result: Promise<SimulatedCalls> } | undefined;
      const simulate = (seed: number, size: "short" | "full"): Promise<SimulatedCalls> => {
        if (latest?.seed !== seed) latest = { seed, result: simulateCalls(calls[size], seed, createInterceptors) };
        return latest.result;
      };
      const cases = new Map<string, Case>([
        [p99, { kind: "figure", figure: async (seed, size) => (await simulate(seed, size)).p99Ms }],
        [load, { kind: "figure", figure: async (seed, size) => (await simulate(seed, size)).load }],
      ]);
      return { cases, close: () => Promise.resolve() };
    },
  };
}
