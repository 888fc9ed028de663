/** How a delay is spread, so that many clients that failed together do not return together. */
export type Jitter = "none" | "full" | "equal" | "decorrelated";

/** How long to wait between attempts. Durations in ms; fractions are fine. */
export interface BackoffOptions {
  /** First delay before jitter, in ms. Greater than 0. Default 100. */
  readonly initialMs?: number | undefined;
  /** Longest delay, in ms. At least `initialMs`. Default 10 000. */
  readonly maxMs?: number | undefined;
  /** By how much each delay is longer than the one before. At least 1. Default 2. Unused by "decorrelated". */
  readonly factor?: number | undefined;
  /** Default "full". */
  readonly jitter?: Jitter | undefined;
}

/** `BackoffOptions` with everything filled in and checked. */
export interface BackoffConfig {
  readonly initialMs: number;
  readonly maxMs: number;
  readonly factor: number;
  readonly jitter: Jitter;
}

/** The delays of one thing that is tried again and again, such as a connection. */
export interface Backoff {
  /** The delay before the next attempt, in ms: between 0 and `maxMs`. */
  next(): number;
  /** Begins again with the first delay, after a success. */
  reset(): void;
}

const jitters: readonly Jitter[] = ["none", "full", "equal", "decorrelated"];

/** Options checked, defaults filled in. @throws {RangeError} naming the option. */
export function resolveBackoffOptions(options: BackoffOptions = {}): BackoffConfig {
  const { initialMs = 100, maxMs = 10_000, factor = 2, jitter = "full" } = options;
  if (!(initialMs > 0)) throw new RangeError(`initialMs must be greater than 0, got ${initialMs}`);
  if (!(maxMs >= initialMs)) throw new RangeError(`maxMs must be at least initialMs (${initialMs}), got ${maxMs}`);
  if (!(factor >= 1)) throw new RangeError(`factor must be at least 1, got ${factor}`);
  for (const [name, value] of Object.entries({ initialMs, maxMs, factor })) {
    if (!Number.isFinite(value)) throw new RangeError(`${name} must be a finite number, got ${value}`);
  }
  if (!jitters.includes(jitter)) {
    throw new RangeError(`jitter must be one of ${jitters.map((name) => `"${name}"`).join(", ")}, got ${jitter}`);
  }
  return { initialMs, maxMs, factor, jitter };
}

/**
 * The delay before retry number `attempt` (0 for the first), in ms, between 0 and `maxMs`. Pure.
 *
 * With d = min(maxMs, initialMs × factor^attempt): "none" gives d, "full" between 0 and d, "equal" between d/2 and d,
 * "decorrelated" between initialMs and three times the delay before.
 * Algorithm: Exponential Backoff And Jitter, Marc Brooker,
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 *
 * @param previousMs the delay before this one, for "decorrelated"; `initialMs` for the first. The others do not look at it.
 * @param random at least 0 and less than 1.
 */
export function backoffDelay(
  config: BackoffConfig,
  { attempt, previousMs, random }: { attempt: number; previousMs: number; random: number },
): number {
  const { initialMs, maxMs, factor, jitter } = config;
  const whole = Math.min(maxMs, initialMs * factor ** attempt);
  switch (jitter) {
    case "none":
      return whole;
    case "full":
      return random * whole;
    case "equal":
      return whole / 2 + (random * whole) / 2;
    case "decorrelated":
      return Math.min(maxMs, initialMs + random * Math.max(0, previousMs * 3 - initialMs));
  }
}

/**
 * Delays that grow, before jitter, from `initialMs` to `maxMs` and stay there. It never gives up: how often to try is
 * the caller's decision.
 * @param random a source of numbers of at least 0 and less than 1. Default `Math.random`; tests pass `seededRandom`.
 * @throws {RangeError} naming the option.
 * @example
 * const backoff = createBackoff({ initialMs: 200, maxMs: 5_000 });
 * while (!(await connect(signal))) await systemClock.sleep(backoff.next(), signal);
 */
export function createBackoff(options: BackoffOptions = {}, random: () => number = Math.random): Backoff {
  const config = resolveBackoffOptions(options);
  let attempt = 0;
  let previousMs = config.initialMs;
  return {
    next() {
      previousMs = backoffDelay(config, { attempt, previousMs, random: random() });
      attempt += 1;
      return previousMs;
    },
    reset() {
      attempt = 0;
      previousMs = config.initialMs;
    },
  };
}
