/** Whether a provider is kept from calls because calls to it fail. */
export type Ejection =
  | {
      readonly kind: "in";
      /** Calls in a row that failed. */
      readonly failures: number;
      /** How often it was ejected before, as far as that is not forgiven. */
      readonly times: number;
      /** When it came back the last time. */
      readonly sinceMs: number;
    }
  | { readonly kind: "out"; readonly times: number; readonly untilMs: number };

export interface EjectionRules {
  readonly failures: number;
  readonly baseMs: number;
  readonly maxMs: number;
}

export const neverEjected: Ejection = Object.freeze({ kind: "in", failures: 0, times: 0, sinceMs: 0 });

/**
 * Ejection after one call. Pure. Outlier detection by consecutive failures as Envoy has it,
 * https://www.envoyproxy.io/docs/envoy/v1.31.0/intro/arch_overview/upstream/outlier.
 *
 * | state                           | event             | next                                                 |
 * |---------------------------------|-------------------|------------------------------------------------------|
 * | in                              | call failed       | in, one failure more in a row                        |
 * | in                              | call went well    | in, none in a row                                    |
 * | in, enough failures, and may be | eject             | out for `baseMs` times the number of times, at most `maxMs` |
 * | out                             | any call          | out: it began before                                 |
 * | out                             | time up, or lifted | in, none in a row                                   |
 *
 * For each `baseMs` that it stays in, one time is forgiven.
 */
export function afterCall(ejection: Ejection, failed: boolean): Ejection {
  if (ejection.kind === "out") return ejection;
  const failures = failed ? ejection.failures + 1 : 0;
  return failures === ejection.failures ? ejection : { ...ejection, failures };
}

/** Whether it is to be ejected, if it may be. */
export function isDue(ejection: Ejection, { failures }: EjectionRules): boolean {
  return ejection.kind === "in" && ejection.failures >= failures;
}

/** See the table of `afterCall`. */
export function eject(ejection: Ejection, nowMs: number, { baseMs, maxMs }: EjectionRules): Ejection {
  if (ejection.kind === "out") return ejection;
  const forgiven = Math.floor((nowMs - ejection.sinceMs) / baseMs);
  const times = Math.max(0, ejection.times - forgiven) + 1;
  return { kind: "out", times, untilMs: nowMs + Math.min(maxMs, baseMs * times) };
}

/** See the table of `afterCall`. */
export function readmit(ejection: Ejection, nowMs: number): Ejection {
  return ejection.kind === "in" ? ejection : { kind: "in", failures: 0, times: ejection.times, sinceMs: nowMs };
}
