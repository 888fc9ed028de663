/** How the health of providers is followed. */
export interface HealthOptions {
  /** Time from one probe of a provider to its next, in ms; up to a tenth more or less, by chance. From 10. Default 1 000. */
  readonly intervalMs?: number | undefined;
  /** Bound on one probe, in ms. From 1. Default 1 000. */
  readonly timeoutMs?: number | undefined;
  /** Time before the first probe of a provider, in ms: it may register before it listens. Default 1 000. */
  readonly graceMs?: number | undefined;
  /** So many time-outs among the last `window` probes hide a provider. Default 3: all in all within 5 s. */
  readonly misses?: number | undefined;
  /** At least `misses`. Default 5. */
  readonly window?: number | undefined;
  /** Probes under way at a time; others wait for their turn. Default 256. */
  readonly maxProbes?: number | undefined;
  /** Protection against hiding most of a type's providers at once for time-outs, when there are many. */
  readonly massSilence?: MassSilenceOptions | undefined;
  /** Ejection of providers whose calls fail. False: none. */
  readonly ejection?: EjectionOptions | false | undefined;
}

export interface MassSilenceOptions {
  /** Of types with so many providers or more. Default 10. */
  readonly minProviders?: number | undefined;
  /** At most this share of a type's providers is hidden for time-outs. Above 0, at most 1 (no protection). Default 0.5. */
  readonly maxShare?: number | undefined;
}

export interface EjectionOptions {
  /** Calls in a row that failed. Default 5. */
  readonly failures?: number | undefined;
  /** How long the first time, in ms; the second time twice as long, and so on. Default 30 000. */
  readonly baseMs?: number | undefined;
  /** The longest, in ms. At least `baseMs`. Default 300 000, or `baseMs` if that is more. */
  readonly maxMs?: number | undefined;
  /** Largest share of a type's providers at a time; if there are two or more, one always may be. Default 0.1. */
  readonly maxShare?: number | undefined;
}

export type HealthRules = ReturnType<typeof resolveHealthOptions>;

/** The longest time that a timer of Node can run. */
const maxTimerMs = 2 ** 31 - 1;

/** @throws {RangeError} naming the option. */
export function resolveHealthOptions(options: HealthOptions = {}) {
  const { intervalMs = 1_000, timeoutMs = 1_000, graceMs = 1_000, misses = 3, maxProbes = 256 } = options;
  const { window = Math.max(5, misses), massSilence = {}, ejection = {} } = options;
  checkRange("health.intervalMs", intervalMs, 10, maxTimerMs);
  checkRange("health.timeoutMs", timeoutMs, 1, maxTimerMs);
  checkRange("health.graceMs", graceMs, 0, maxTimerMs);
  checkCount("health.misses", misses, 1);
  checkCount("health.window", window, misses);
  checkCount("health.maxProbes", maxProbes, 1);
  const { minProviders = 10, maxShare = 0.5 } = massSilence;
  checkCount("health.massSilence.minProviders", minProviders, 1);
  if (!(maxShare > 0 && maxShare <= 1)) {
    throw new RangeError(`health.massSilence.maxShare must be above 0 and at most 1, got ${maxShare}`);
  }
  return {
    intervalMs,
    timeoutMs,
    graceMs,
    maxProbes,
    liveness: { misses, window },
    massSilence: { minProviders, maxShare },
    ejection: ejection === false ? undefined : resolveEjection(ejection),
  };
}

function resolveEjection({ failures = 5, baseMs = 30_000, maxShare = 0.1, ...options }: EjectionOptions) {
  const { maxMs = Math.max(300_000, baseMs) } = options;
  checkCount("health.ejection.failures", failures, 1);
  checkRange("health.ejection.baseMs", baseMs, 1, maxTimerMs);
  checkRange("health.ejection.maxMs", maxMs, baseMs, maxTimerMs);
  checkRange("health.ejection.maxShare", maxShare, 0, 1);
  return { failures, baseMs, maxMs, maxShare };
}

function checkRange(option: string, value: number, min: number, max: number): void {
  if (!(value >= min && value <= max)) throw new RangeError(`${option} must be from ${min} to ${max}, got ${value}`);
}

function checkCount(option: string, value: number, min: number): void {
  if (!Number.isSafeInteger(value) || value < min) {
    throw new RangeError(`${option} must be a whole number from ${min}, got ${value}`);
  }
}
