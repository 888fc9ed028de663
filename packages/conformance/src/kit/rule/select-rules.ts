import { BadChoice } from "./bad-choice.ts";
import type { Rule } from "./rule.ts";

/**
 * The rules that the patterns name, and those they need, in the order of `rules`. A pattern is the id of a rule, or a
 * group ("discover", "discover.*"). No pattern: all rules.
 * @throws {BadChoice} for a pattern that names no rule.
 */
export function selectRules<Subject>(
  rules: readonly Rule<Subject>[],
  patterns: readonly string[],
): readonly Rule<Subject>[] {
  if (patterns.length === 0) return rules;
  const byId = new Map(rules.map((rule) => [rule.id, rule]));
  const chosen = new Set<string>();
  const choose = (rule: Rule<Subject>): void => {
    if (chosen.has(rule.id)) return;
    chosen.add(rule.id);
    for (const need of rule.needs ?? []) {
      const needed = byId.get(need);
      if (needed !== undefined) choose(needed);
    }
  };
  for (const pattern of patterns) {
    const named = rules.filter(({ id }) => id === pattern || id.startsWith(`${pattern.replace(/\.\*$/, "")}.`));
    if (named.length === 0) throw new BadChoice("rule", `${pattern} names no rule; --list shows them all`);
    named.forEach(choose);
  }
  return rules.filter(({ id }) => chosen.has(id));
}
