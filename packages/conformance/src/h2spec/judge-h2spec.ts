import type { H2specCase, H2specResult } from "./h2spec-cases.ts";

export interface H2specOutcome {
  readonly cases: readonly H2specCase[];
  /** Ids of the cases that are listed as failing. */
  readonly known: readonly string[];
  /** Of the listener, by id. */
  readonly results: ReadonlyMap<string, H2specResult>;
  /** Of Node's own servers, by id. */
  readonly bare: ReadonlyMap<string, H2specResult>;
}

export interface H2specVerdict {
  readonly passed: number;
  readonly knownFailing: number;
  readonly total: number;
  /** One line each; none if all is as it should be. */
  readonly problems: readonly string[];
}

/** A listed case has to fail with the listener and with Node's own servers; any other has to pass. */
export function judgeH2spec({ cases, known, results, bare }: H2specOutcome): H2specVerdict {
  const problems: string[] = [];
  let passed = 0;
  let knownFailing = 0;
  for (const { id, title } of cases) {
    const result = results.get(id) ?? "not run";
    if (result === "passed") passed++;
    if (!known.includes(id)) {
      if (result !== "passed") problems.push(`${id} (${title}): ${result}`);
      continue;
    }
    if (result !== "failed") {
      problems.push(`${id} (${title}) is listed as failing: ${result}`);
      continue;
    }
    knownFailing++;
    const alone = bare.get(id) ?? "not run";
    if (alone !== "failed")
      problems.push(`${id} (${title}) is listed as a failure of Node's own, whose server: ${alone}`);
  }
  for (const id of known) {
    if (!cases.some((one) => one.id === id)) problems.push(`${id} is listed, and h2spec has no such case`);
  }
  return { passed, knownFailing, total: cases.length, problems };
}
