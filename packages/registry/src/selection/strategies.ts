import type { Candidate, SelectionName } from "./selection.ts";

/** Where the turns of one set of candidates have come to. It outlives changes of the set. */
export interface Turn {
  next: number;
}

/** What a strategy of ours may use. */
export interface Chance {
  readonly turn: Turn;
  /** At least 0 and less than 1. */
  readonly random: () => number;
}

type Pick = (candidates: readonly Candidate[], chance: Chance) => Candidate | undefined;

/**
 * The strategies that have a name. Each takes time that does not grow with the candidates, but for weighted, which
 * searches by halves.
 */
export const strategies: Readonly<Record<SelectionName, Pick>> = {
  /** Who registered first. */
  first: ([first]) => first,

  "round-robin"(candidates, { turn }) {
    const index = turn.next % candidates.length;
    turn.next = index + 1;
    return candidates[index];
  },

  random: (candidates, { random }) => candidates[indexBelow(candidates.length, random)],

  /** By the weights of the registrations. Weight 0 gets no calls, unless nobody has more. */
  weighted(candidates, { random }) {
    const sums = weightSums(candidates);
    const total = sums.at(-1) ?? 0;
    if (total === 0) return candidates[indexBelow(candidates.length, random)];
    return candidates[firstAbove(sums, random() * total)];
  },

  /**
   * The less busy of two that chance picks, which is nearly as good as the least busy of all, and does not send everybody
   * to the same one: M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", IEEE TPDS 12(10), 2001.
   */
  "least-loaded"(candidates, { random }) {
    const one = indexBelow(candidates.length, random);
    if (candidates.length === 1) return candidates[one];
    const offset = 1 + indexBelow(candidates.length - 1, random);
    const other = candidates[(one + offset) % candidates.length];
    const first = candidates[one];
    return first !== undefined && other !== undefined && other.inFlight < first.inFlight ? other : first;
  },
};

/** A user's random numbers may reach 1. */
function indexBelow(count: number, random: () => number): number {
  return Math.min(count - 1, Math.floor(random() * count));
}

const knownSums = new WeakMap<readonly Candidate[], Float64Array>();

/** Sum of the weights up to each candidate; candidates that are offered again are not summed again. */
function weightSums(candidates: readonly Candidate[]): Float64Array {
  const known = knownSums.get(candidates);
  if (known !== undefined) return known;
  let sum = 0;
  const sums = Float64Array.from(candidates, ({ registration }) => {
    sum += registration.weight;
    return sum;
  });
  knownSums.set(candidates, sums);
  return sums;
}

/** Index of the first sum above the point; of the last that adds something, if the point is beyond all. */
function firstAbove(sums: Float64Array, point: number): number {
  const last = sums.at(-1) ?? 0;
  const isAbove = (sum: number): boolean => sum > point || sum === last;
  let low = 0;
  let high = sums.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isAbove(sums[middle] ?? last)) high = middle;
    else low = middle + 1;
  }
  return low;
}
