import { seededRandom } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { type RunOptions, runTable } from "./run-table.ts";
import type { Case, FigureCase, Table, TimedCase, Variant } from "./table.ts";

/** Variants whose calls take exactly as long as they say, on a clock that nothing else moves. */
function bench() {
  const log: string[] = [];
  let nowMs = 0;
  const options: RunOptions = {
    rounds: 5,
    batchMs: { wall: 50, cpu: 100 },
    warmUpMs: 200,
    size: "full",
    random: seededRandom(1),
    clocks: { wall: () => nowMs, cpu: () => nowMs / 2 },
    collectGarbage: () => void log.push("gc"),
    onProgress: () => {},
    stepLimitMs: 5_000,
  };
  const timed = (name: string, callMs: number, parts: Partial<TimedCase> = {}): TimedCase => ({
    kind: "timed",
    check: async () => void log.push(`check ${name}`),
    run: async (calls) => {
      log.push(`run ${name} ${calls}`);
      nowMs += calls * callMs;
    },
    ...parts,
  });
  const variant = (name: string, cases: Record<string, Case>): Variant => ({
    name,
    setup: async () => {
      log.push(`setup ${name}`);
      return { cases: new Map(Object.entries(cases)), close: async () => void log.push(`close ${name}`) };
    },
  });
  const table = (variants: readonly Variant[], measures = ["echo"]): Table => ({
    name: "example",
    title: "An example",
    measures: measures.map((name) => ({ name, unit: "ns", base: "a" })),
    variants,
    goals: [],
  });
  return { log, options, timed, variant, table };
}

describe("runTable", () => {
  it("tells what a call costs, and its ratio to the base", async () => {
    const { options, timed, variant, table } = bench();
    const { measures } = await runTable(
      table([variant("a", { echo: timed("a", 0.002) }), variant("b", { echo: timed("b", 3) })]),
      options,
    );
    const [a, b] = measures[0]?.rows ?? [];
    expect(a?.samples).toHaveLength(5);
    expect(a?.figure.median).toBeCloseTo(2_000, 3);
    expect(b?.figure.median).toBeCloseTo(3_000_000, 3);
    expect(b?.ratio?.median).toBeCloseTo(1_500, 3);
  });

  it("takes the clock that the measure names, and the batch that goes with it", async () => {
    const { log, options, timed, variant, table } = bench();
    const variants = [variant("a", { echo: timed("a", 2) })];
    const measures = [{ name: "echo", unit: "ns", clock: "cpu", base: "a" }] as const;
    const [measure] = (await runTable({ ...table(variants), measures }, options)).measures;
    expect(measure?.rows[0]?.figure.median).toBe(1_000_000);
    expect(log.at(-2)).toBe("run a 100");
  });

  it("sets up in order, checks before it measures, closes in reverse order", async () => {
    const { log, options, timed, variant, table } = bench();
    await runTable(table([variant("a", { echo: timed("a", 1) }), variant("b", { echo: timed("b", 1) })]), {
      ...options,
      rounds: 1,
    });
    expect(log.slice(0, 3)).toEqual(["setup a", "setup b", "check a"]);
    expect(log.indexOf("check b")).toBeLessThan(log.findIndex((line) => line.startsWith("run b")));
    expect(log.slice(-2)).toEqual(["close b", "close a"]);
  });

  it.each<{ callMs: number; leastCalls: number; calls: number; size?: RunOptions["size"] }>([
    { callMs: 0.001, leastCalls: 1, calls: 50_000 },
    { callMs: 10, leastCalls: 1, calls: 5 },
    { callMs: 70, leastCalls: 1, calls: 1 },
    { callMs: 10, leastCalls: 64, calls: 64 },
    { callMs: 10, leastCalls: 64, calls: 5, size: "short" },
  ])(
    "with $callMs ms a call, at least $leastCalls, a batch has $calls calls",
    async ({ callMs, leastCalls, calls, size = "full" }) => {
      const { log, options, timed, variant, table } = bench();
      await runTable(table([variant("a", { echo: timed("a", callMs, { leastCalls }) })]), {
        ...options,
        size,
        rounds: 1,
      });
      expect(log.slice(-4)).toEqual(["gc", `run a ${Math.ceil(calls / 10)}`, `run a ${calls}`, "close a"]);
    },
  );

  it("warms up for as long as asked", async () => {
    const calls = async (warmUpMs: number) => {
      const { log, options, timed, variant, table } = bench();
      await runTable(table([variant("a", { echo: timed("a", 50) })]), { ...options, warmUpMs, rounds: 1 });
      return log.slice(log.indexOf("check a"), log.indexOf("gc")).length - 1;
    };
    expect(await calls(0)).toBe(1);
    expect(await calls(500)).toBe(11);
  });

  it("measures everything once a round, each round in an order of its own that the seed decides", async () => {
    const orders = async (seed: number) => {
      const { log, options, timed, variant, table } = bench();
      const names = ["a", "b", "c", "d"];
      const variants = names.map((name) =>
        variant(name, { echo: timed(`${name}.echo`, 50), list: timed(`${name}.list`, 50) }),
      );
      await runTable(table(variants, ["echo", "list"]), { ...options, random: seededRandom(seed) });
      const measured = log.slice(log.indexOf("gc")).filter((line) => line.startsWith("run"));
      // Each sample is two runs, the lead-in and the batch.
      const rounds = Array.from({ length: 5 }, (_, round) => measured.slice(round * 16, (round + 1) * 16));
      return rounds.map((lines) => lines.filter((_, index) => index % 2 === 1).map((line) => line.split(" ")[1] ?? ""));
    };
    const rounds = await orders(1);
    for (const round of rounds) {
      expect(new Set(round).size).toBe(8);
      const measures = round.map((cell) => cell.split(".")[1]);
      expect(new Set(measures.slice(0, 4)).size).toBe(1); // all variants of a measure in a row
    }
    expect(new Set(rounds.map(String)).size).toBeGreaterThan(1);
    expect(await orders(1)).toEqual(rounds);
    expect(await orders(2)).not.toEqual(rounds);
  });

  it("gives all variants of a round the same seed, and each round another", async () => {
    const { options, variant, table } = bench();
    const figureCase = (offset: number): FigureCase => ({ kind: "figure", figure: async (seed) => seed + offset });
    const { measures } = await runTable(
      table([variant("a", { echo: figureCase(1) }), variant("b", { echo: figureCase(2) })]),
      options,
    );
    const [a, b] = (measures[0]?.rows ?? []).map(({ samples }) => samples);
    expect(b).toEqual(a?.map((figure) => figure + 1));
    expect(new Set(a).size).toBe(5);
  });

  it.each<{ at: string; broken: (parts: ReturnType<typeof bench>) => Variant }>([
    {
      at: "setting up",
      broken: () => ({ name: "b", setup: () => Promise.reject(new Error("wrong")) }),
    },
    {
      at: "echo",
      broken: ({ variant, timed }) =>
        variant("b", { echo: timed("b", 1, { check: () => Promise.reject(new Error("wrong")) }) }),
    },
    {
      at: "echo",
      broken: ({ variant, timed }) =>
        variant("b", { echo: timed("b", 1, { run: () => Promise.reject(new Error("wrong")) }) }),
    },
    {
      at: "echo",
      broken: ({ variant }) =>
        variant("b", { echo: { kind: "figure", figure: () => Promise.reject(new Error("wrong")) } }),
    },
    {
      at: "closing",
      broken: ({ variant, timed }) => {
        const { setup } = variant("b", { echo: timed("b", 1) });
        const close = () => Promise.reject(new Error("wrong"));
        return { name: "b", setup: async () => ({ ...(await setup()), close }) };
      },
    },
  ])("names the variant that fails $at, and closes the others", async ({ at, broken }) => {
    const parts = bench();
    const { log, options, timed, variant, table } = parts;
    const variants = [variant("a", { echo: timed("a", 1) }), broken(parts)];
    await expect(runTable(table(variants), options)).rejects.toThrow(`example: "b", ${at}: wrong`);
    expect(log.filter((line) => line === "close a")).toHaveLength(1);
  });

  it("waits for nothing longer than the limit of a step", async () => {
    const { log, options, timed, variant, table } = bench();
    const stuck = variant("b", { echo: timed("b", 1, { run: () => new Promise(() => {}) }) });
    const run = runTable(table([variant("a", { echo: timed("a", 1) }), stuck]), { ...options, stepLimitMs: 20 });
    await expect(run).rejects.toThrow('example: "b", echo: echo took longer than 20 ms');
    expect(log.slice(-2)).toEqual(["close b", "close a"]);
  });

  it("refuses work of a measure that the table does not have", async () => {
    const { options, timed, variant, table } = bench();
    const run = runTable(table([variant("a", { other: timed("a", 1) })]), options);
    await expect(run).rejects.toThrow('example has no measure "other", as "a" thinks');
  });
});
