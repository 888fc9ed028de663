import type { RuleResult, RuleStatus } from "./run-rules.ts";

const widest = "NOT-SERVED".length;

/** One line for one rule. */
export function resultLine({ id, section, status, expected, seen }: RuleResult): string {
  const line = `${status.padEnd(widest)}  ${id}: ${expected} [${section}]`;
  return oneLine(seen === "" ? line : `${line}; seen: ${seen}`);
}

/** The last line: how many of each. */
export function summaryLine(results: readonly RuleResult[]): string {
  const count = (status: RuleStatus): number => results.filter((result) => result.status === status).length;
  return (
    `${count("PASS")} of ${results.length} rules passed, ${count("FAIL")} failed, ` +
    `${count("SKIP")} skipped, ${count("NOT-SERVED")} not served`
  );
}

/** Whether a run is good: 1 when a rule failed. */
export function exitCodeOf(results: readonly RuleResult[]): 0 | 1 {
  return results.some(({ status }) => status === "FAIL") ? 1 : 0;
}

/** What a peer sent may be in it: no control character reaches the terminal. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
}
