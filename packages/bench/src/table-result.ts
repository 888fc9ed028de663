import { type Summary, summarize, summarizeRatios } from "./statistics.ts";
import type { ClockName, Goal, Measure, Table, Unit } from "./table.ts";

/** By name of the measure, by name of the variant: one figure for each round. */
export type Samples = ReadonlyMap<string, ReadonlyMap<string, readonly number[]>>;

export interface TableResult {
  readonly name: string;
  readonly title: string;
  readonly measures: readonly MeasureResult[];
  readonly goals: readonly GoalResult[];
}

export interface MeasureResult {
  readonly name: string;
  readonly unit: Unit;
  readonly clock: ClockName;
  readonly base: string;
  /** What was taken off every figure. */
  readonly subtract: string | undefined;
  /** In the order of the table. */
  readonly rows: readonly Row[];
}

export interface Row {
  readonly variant: string;
  readonly figure: Summary;
  /** To the base, in the same round. Undefined when the base was nothing in every round. */
  readonly ratio: Summary | undefined;
  /** The figures by round. */
  readonly samples: readonly number[];
}

export interface GoalResult extends Goal {
  readonly figure: Summary | undefined;
  readonly met: boolean;
}

/**
 * What the rounds say, by measure and variant, and which goals are met.
 * @throws {Error} when a base, a subtrahend or a variant of a goal has no figures: the table is wrong.
 */
export function tableResult(table: Table, samples: Samples): TableResult {
  const measures = new Map(table.measures.map((measure) => [measure.name, differences(measure, samples)]));
  return {
    name: table.name,
    title: table.title,
    measures: table.measures.map((measure) => {
      const figures = measures.get(measure.name) ?? new Map();
      const base = figuresOf(figures, measure.name, measure.base);
      const rows = table.variants.flatMap(({ name: variant }): Row[] => {
        const own = figures.get(variant);
        if (own === undefined) return [];
        return [{ variant, figure: summarize(own), ratio: summarizeRatios(own, base), samples: own }];
      });
      const { name, unit, clock = "wall", base: baseName, subtract } = measure;
      return { name, unit, clock, base: baseName, subtract, rows };
    }),
    goals: table.goals.map((goal) => {
      const figures = measures.get(goal.measure) ?? new Map();
      const of = figuresOf(figures, goal.measure, goal.of);
      const to = figuresOf(figures, goal.measure, goal.to);
      const figure = goal.ratio === "cost" ? summarizeRatios(of, to) : summarizeRatios(to, of);
      return { ...goal, figure, met: figure !== undefined && isWithin(figure.median, goal.bound) };
    }),
  };
}

/** Figures of a measure by variant, the subtrahend taken off and left out. */
function differences(measure: Measure, samples: Samples): ReadonlyMap<string, readonly number[]> {
  const measured = samples.get(measure.name) ?? new Map<string, readonly number[]>();
  if (measure.subtract === undefined) return measured;
  const subtrahend = figuresOf(measured, measure.name, measure.subtract);
  const result = new Map<string, readonly number[]>();
  for (const [variant, figures] of measured) {
    if (variant === measure.subtract) continue;
    result.set(
      variant,
      figures.map((figure, round) => figure - (subtrahend[round] ?? Number.NaN)),
    );
  }
  return result;
}

function figuresOf(
  figures: ReadonlyMap<string, readonly number[]>,
  measure: string,
  variant: string,
): readonly number[] {
  const found = figures.get(variant);
  if (found === undefined) throw new Error(`measure "${measure}" has no figures of "${variant}"`);
  return found;
}

function isWithin(figure: number, bound: Goal["bound"]): boolean {
  return "atMost" in bound ? figure <= bound.atMost : figure >= bound.atLeast;
}
