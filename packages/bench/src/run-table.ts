import { shuffle } from "./shuffle.ts";
import type { Case, ClockName, Subject, Table, TimedCase } from "./table.ts";
import { type TableResult, tableResult } from "./table-result.ts";
import { within } from "./within.ts";

export interface RunOptions {
  /** From 1. */
  readonly rounds: number;
  /** How long a batch of calls should take, in ms of the clock that measures it. */
  readonly batchMs: Readonly<Record<ClockName, number>>;
  /** How long each variant runs each measure before the rounds, in ms. */
  readonly warmUpMs: number;
  /** "short": batches may be smaller than a case wants, and simulations small. */
  readonly size: "short" | "full";
  /** Decides the order within each round, and the seeds of simulations. */
  readonly random: () => number;
  /** Milliseconds that only grow, with fractions. */
  readonly clocks: Readonly<Record<ClockName, () => number>>;
  /** Called before each batch. */
  readonly collectGarbage: () => void;
  readonly onProgress: (line: string) => void;
  /** Bound on one step of one variant: setting it up, a batch, closing it. In ms. */
  readonly stepLimitMs: number;
}

/** One variant doing the work of one measure. */
interface Cell {
  readonly measure: string;
  readonly variant: string;
  readonly work: Case;
  readonly nowMs: () => number;
  readonly batchMs: number;
  readonly samples: number[];
  /** Calls in a batch. */
  calls: number;
}

/**
 * Sets the variants of a table up, checks their answers, warms them up, measures them in rounds and closes them, also
 * after a failure. A round measures every measure with every variant once, in a random order of its own.
 * @throws {Error} naming table, variant and what it was at: a variant that cannot be set up, that fails, answers wrongly
 * or takes too long.
 */
export async function runTable(table: Table, options: RunOptions): Promise<TableResult> {
  const subjects = new Map<string, Subject>();
  const guard = async <T>(variant: string, at: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await within(at, options.stepLimitMs, work());
    } catch (reason) {
      const message = reason instanceof Error ? reason.message : String(reason);
      throw new Error(`${table.name}: "${variant}", ${at}: ${message}`, { cause: reason });
    }
  };
  const closeAll = () =>
    Promise.allSettled(
      [...subjects].reverse().map(([variant, subject]) => guard(variant, "closing", () => subject.close())),
    );

  const measureAll = async (): Promise<TableResult> => {
    options.onProgress(`${table.name}: setting up ${table.variants.length} variants`);
    for (const { name, setup } of table.variants) subjects.set(name, await guard(name, "setting up", setup));
    const cells = cellsOf(table, subjects, options);
    options.onProgress(`${table.name}: checking answers, warming up`);
    for (const cell of cells) await guard(cell.variant, cell.measure, () => prepare(cell, options));
    for (let round = 1; round <= options.rounds; round++) {
      options.onProgress(`${table.name}: round ${round} of ${options.rounds}`);
      const seed = Math.floor(options.random() * 2 ** 32);
      // All variants of a measure directly after one another, so that what disturbs one likely disturbs the others.
      for (const { name } of shuffle(table.measures, options.random)) {
        const ofMeasure = cells.filter(({ measure }) => measure === name);
        for (const cell of shuffle(ofMeasure, options.random)) {
          cell.samples.push(await guard(cell.variant, cell.measure, () => sample(cell, seed, options)));
        }
      }
    }
    return tableResult(table, samplesOf(cells));
  };

  const result = await measureAll().catch(async (reason: unknown): Promise<never> => {
    await closeAll(); // what goes wrong in it matters less than the reason
    throw reason;
  });
  const failed = (await closeAll()).find((outcome) => outcome.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return result;
}

/** @throws {Error} for a case of a measure that the table does not have. */
function cellsOf(table: Table, subjects: ReadonlyMap<string, Subject>, options: RunOptions): Cell[] {
  const measures = new Map(table.measures.map((measure) => [measure.name, measure]));
  const cells: Cell[] = [];
  for (const [variant, { cases }] of subjects) {
    for (const [name, work] of cases) {
      const measure = measures.get(name);
      if (measure === undefined) throw new Error(`${table.name} has no measure "${name}", as "${variant}" thinks`);
      const clock = measure.clock ?? "wall";
      const nowMs = options.clocks[clock];
      const batchMs = options.batchMs[clock];
      cells.push({ measure: name, variant, work, nowMs, batchMs, samples: [], calls: leastCalls(work, options) });
    }
  }
  return cells;
}

function leastCalls(work: Case, { size }: RunOptions): number {
  return work.kind === "timed" && size === "full" ? (work.leastCalls ?? 1) : 1;
}

function samplesOf(cells: readonly Cell[]): Map<string, Map<string, readonly number[]>> {
  const samples = new Map<string, Map<string, readonly number[]>>();
  for (const { measure, variant, samples: figures } of cells) {
    const ofMeasure = samples.get(measure) ?? new Map<string, readonly number[]>();
    samples.set(measure, ofMeasure.set(variant, figures));
  }
  return samples;
}

/** Checks the answer, warms up, and settles how many calls make a batch. */
async function prepare(cell: Cell, options: RunOptions): Promise<void> {
  const { work, nowMs, batchMs } = cell;
  if (work.kind === "figure") return;
  await work.check();
  let leftMs = options.warmUpMs;
  let tookMs = await time(work, cell.calls, nowMs);
  while (leftMs > 0 || tookMs < batchMs / 2) {
    // At most doubled: what runs cold tells little about how fast it will be.
    const wanted = cell.calls * Math.min(2, batchMs / Math.max(tookMs, Number.EPSILON));
    cell.calls = Math.max(leastCalls(work, options), Math.round(wanted));
    tookMs = await time(work, cell.calls, nowMs);
    leftMs -= tookMs;
  }
}

/** Part of a batch that runs before it, unmeasured: connections and caches were left to themselves for a round. */
const leadIn = 0.1;

async function sample({ work, calls, nowMs }: Cell, seed: number, options: RunOptions): Promise<number> {
  options.collectGarbage();
  if (work.kind === "figure") return work.figure(seed, options.size);
  await work.run(Math.ceil(calls * leadIn));
  return ((await time(work, calls, nowMs)) * 1e6) / calls;
}

async function time(work: TimedCase, calls: number, nowMs: () => number): Promise<number> {
  const startMs = nowMs();
  await work.run(calls);
  return nowMs() - startMs;
}
