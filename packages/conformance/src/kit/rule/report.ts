import type { RuleResult, RuleStatus } from "./run-rules.ts";

const widest = "skipped".length;

/** One line for one rule. */
export function resultLine({ id, section, status, expected, found }: RuleResult): string {
  const line = `${status.padEnd(widest)}  ${id}: ${expected} [${section}]`;
  if (status === "ok") return oneLine(line);
  return oneLine(`${line}; ${status === "FAILED" ? "found" : "why"}: ${found}`);
}

/** How many of each. */
export function countResults(results: readonly RuleResult[]): Readonly<Record<RuleStatus, number>> {
  const count = (status: RuleStatus): number => results.filter((result) => result.status === status).length;
  return { ok: count("ok"), FAILED: count("FAILED"), skipped: count("skipped") };
}

/** The last line. */
export function summaryLine(results: readonly RuleResult[]): string {
  const { ok, FAILED, skipped } = countResults(results);
  return `${ok} of ${results.length} rules ok, ${FAILED} failed, ${skipped} skipped`;
}

/** What a peer sent may be in it: no control character reaches the terminal. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
}
