import { callListener } from "@cpg/core/extension";
import {
  compileUpstreamRule,
  type UpstreamCandidate,
  type UpstreamRule,
  type UpstreamRuleFunction,
} from "./upstream-rule.ts";

export interface UpstreamRuleSet {
  readonly allow?: readonly UpstreamRule[] | undefined;
  readonly deny?: readonly UpstreamRule[] | undefined;
  readonly decide?: UpstreamRuleFunction | undefined;
}

/**
 * What rules say of a place together: "deny" if one does, else "allow" if one does.
 * @throws {TypeError} naming the rule and the field.
 */
export function createUpstreamRules(
  { allow = [], deny = [], decide = () => undefined }: UpstreamRuleSet,
  onError: (error: unknown) => void,
): (candidate: UpstreamCandidate) => "allow" | "deny" | undefined {
  const allows = allow.map((rule, index) => compileUpstreamRule(rule, "allow", `allow[${index}]`));
  const denies = deny.map((rule, index) => compileUpstreamRule(rule, "deny", `deny[${index}]`));

  /** Nothing but a clear answer counts, whatever an untyped function returns. */
  const ask = (candidate: UpstreamCandidate): "allow" | "deny" | undefined => {
    let error: unknown;
    try {
      const answer: unknown = decide(candidate);
      if (answer === undefined || answer === "allow" || answer === "deny") return answer;
      if (answer instanceof Promise) answer.catch(() => {}); // nobody else looks at it
      error = new TypeError('decide must answer "allow", "deny" or undefined at once');
    } catch (reason) {
      error = reason;
    }
    callListener(
      () => onError(error),
      () => {},
    );
    return "deny";
  };

  return (candidate) => {
    if (denies.some((fits) => fits(candidate))) return "deny";
    const answer = ask(candidate);
    if (answer !== undefined) return answer;
    return allows.some((fits) => fits(candidate)) ? "allow" : undefined;
  };
}
