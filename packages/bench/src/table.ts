/** What is measured, as data: some measures, the variants that are compared in them, and what they should reach. */
export interface Table {
  /** As on the command line. */
  readonly name: string;
  readonly title: string;
  readonly measures: readonly Measure[];
  readonly variants: readonly Variant[];
  readonly goals: readonly Goal[];
}

/** One kind of work. */
export interface Measure {
  readonly name: string;
  readonly unit: Unit;
  /**
   * What is measured of timed cases: the time that passes, or the time that this thread computes, which other programs on
   * the machine disturb less, and which is right only where nothing waits and no other thread takes part. Default "wall".
   */
  readonly clock?: ClockName | undefined;
  /** The variant that the others are related to. */
  readonly base: string;
  /** The variant whose figure of the same round is taken off that of each other one; it gets no row of its own. */
  readonly subtract?: string | undefined;
}

export type ClockName = "wall" | "cpu";

/** "ns": of one call. "ms": told by the variant. "count": a plain number. */
export type Unit = "ns" | "ms" | "count";

/** One way to do the work. */
export interface Variant {
  readonly name: string;
  setup(): Promise<Subject>;
}

/** A variant that is set up. */
export interface Subject {
  /** By name of the measure. Without one for a measure, the variant is not in it. */
  readonly cases: ReadonlyMap<string, Case>;
  close(): Promise<void>;
}

export type Case = TimedCase | FigureCase;

export interface TimedCase {
  readonly kind: "timed";
  /** Does the work once. Throws if anything in the answer is wrong. */
  check(): Promise<void>;
  /** Does the work so many times. Uses every answer, and throws if one cannot be right. */
  run(calls: number): Promise<void>;
  /** A batch of fewer calls would say nothing, as with many calls at a time. Default 1. */
  readonly leastCalls?: number | undefined;
}

/** For what is not a duration that passes here, such as a percentile of simulated latencies. */
export interface FigureCase {
  readonly kind: "figure";
  /** The same for the same seed. Each round has its own, all variants get the same one. Throws on a wrong answer. */
  figure(seed: number, size: "short" | "full"): Promise<number>;
}

/** What the ratio of two variants should be, as the median over the rounds. Printed, never asserted. */
export interface Goal {
  readonly measure: string;
  readonly of: string;
  readonly to: string;
  /** "cost": what `of` costs in units of `to`. "speed": how many times faster `of` is than `to`. */
  readonly ratio: "cost" | "speed";
  readonly bound: { readonly atMost: number } | { readonly atLeast: number };
}
