import type { Clock } from "@cpg/resilience";
import { NotApplicable, NotServed } from "./finding.ts";
import type { Rule, Section } from "./rule.ts";
import { withinTime } from "./within-time.ts";

export type RuleStatus = "ok" | "FAILED" | "skipped";

export interface RuleResult {
  readonly id: string;
  readonly section: Section;
  readonly status: RuleStatus;
  readonly expected: string;
  /** What was found instead, or why it was skipped. Empty when it is ok. */
  readonly found: string;
}

export interface RunRulesOptions<Subject> {
  readonly rules: readonly Rule<Subject>[];
  /** What is checked; its calls end with the signal. */
  readonly subjectFor: (signal: AbortSignal) => Subject;
  /** Demands what only programs of ours have to do, and all that a foreign one may lack. */
  readonly strict: boolean;
  /** Bound on one rule, in ms. */
  readonly ruleTimeoutMs: number;
  /** Bound on all of them, in ms: rules that do not get their turn fail. */
  readonly totalTimeoutMs: number;
  readonly clock: Clock;
  /** Hears of each result, in the order of the rules. */
  readonly onResult?: ((result: RuleResult) => void) | undefined;
}

/** Checks one rule after the other. A rule whose needs have not passed is skipped. Throws nothing. */
export async function runRules<Subject>(options: RunRulesOptions<Subject>): Promise<RuleResult[]> {
  const { rules, strict, ruleTimeoutMs, totalTimeoutMs, clock, onResult } = options;
  const startedMs = clock.monotonic();
  const passed = new Set<string>();
  const results: RuleResult[] = [];

  const look = async (rule: Rule<Subject>): Promise<RuleResult> => {
    const { id, section, expects: expected } = rule;
    const lacking = rule.needs?.filter((need) => !passed.has(need)) ?? [];
    if (lacking.length > 0) return { id, section, status: "skipped", expected, found: `needs ${lacking.join(", ")}` };
    const leftMs = totalTimeoutMs - (clock.monotonic() - startedMs);
    if (leftMs <= 0)
      return { id, section, status: "FAILED", expected, found: `not looked at within ${totalTimeoutMs} ms in all` };
    const boundMs = Math.min(ruleTimeoutMs, leftMs);
    try {
      await withinTime(clock, boundMs, (signal) => rule.check(options.subjectFor(signal)));
      return { id, section, status: "ok", expected, found: "" };
    } catch (reason) {
      return { id, section, expected, ...judge(rule, strict, reason) };
    }
  };

  for (const rule of rules) {
    const result = await look(rule);
    if (result.status === "ok") passed.add(rule.id);
    results.push(result);
    onResult?.(result);
  }
  return results;
}

function judge<Subject>(rule: Rule<Subject>, strict: boolean, reason: unknown): Pick<RuleResult, "status" | "found"> {
  if (reason instanceof NotApplicable) return { status: "skipped", found: reason.message };
  const found = describe(reason);
  if (!strict && reason instanceof NotServed && rule.mayLack === true) {
    return { status: "skipped", found: `not served, as it may be: ${found}` };
  }
  if (!strict && rule.level === "ours") return { status: "skipped", found: `asked only with --strict: ${found}` };
  return { status: "FAILED", found };
}

function describe(reason: unknown): string {
  return reason instanceof Error ? reason.message || reason.name : String(reason);
}
