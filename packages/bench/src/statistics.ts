export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/**
 * The middle of some figures and how far they spread. Of an even number of figures, the mean of the two in the middle.
 * @throws {RangeError} when there are none, or one is not finite.
 */
export function summarize(figures: readonly number[]): Summary {
  for (const figure of figures) {
    if (!Number.isFinite(figure)) throw new RangeError(`a figure must be finite, got ${figure}`);
  }
  const sorted = figures.toSorted((a, b) => a - b);
  const min = sorted[0];
  const max = sorted.at(-1);
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  const upper = sorted[Math.floor(sorted.length / 2)];
  if (min === undefined || max === undefined || lower === undefined || upper === undefined) {
    throw new RangeError("there are no figures");
  }
  return { median: lower + (upper - lower) / 2, min, max };
}

/**
 * Ratios of figures of the same round, summarized: noise that hits a whole round falls out. A round in which `to` is not
 * greater than 0, as a difference of two measurements may be, says nothing and is left out. Undefined when that leaves none.
 * @throws {RangeError} when the rounds do not match, or a figure is not finite.
 */
export function summarizeRatios(of: readonly number[], to: readonly number[]): Summary | undefined {
  if (of.length !== to.length) throw new RangeError(`${of.length} rounds cannot be related to ${to.length}`);
  const ratios: number[] = [];
  for (const [round, figure] of of.entries()) {
    const divisor = to[round] ?? Number.NaN;
    if (!(divisor <= 0)) ratios.push(figure / divisor);
  }
  return ratios.length === 0 ? undefined : summarize(ratios);
}
