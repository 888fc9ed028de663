import type { Rule } from "../rule/rule.ts";
import type { ServerUnderTest } from "./server-under-test.ts";

/** Nothing else is worth a look, and its time, when nobody is there. */
const answerRule: Rule<ServerUnderTest> = {
  id: "http.answers",
  section: "Services",
  expects: "any request over HTTP/1.1 is answered, with whatever status",
  async check({ http, signal }) {
    const exchange = http.open("1.1", { path: "/healthz" }, signal);
    await exchange.head;
    exchange.cancel();
  },
};

/** The rules, which are looked at only when the server answers at all. */
export function onceItAnswers<Subject extends ServerUnderTest>(
  rules: readonly Rule<Subject>[],
): readonly Rule<Subject>[] {
  return [answerRule, ...rules.map((rule) => ({ ...rule, needs: rule.needs ?? [answerRule.id] }))];
}
