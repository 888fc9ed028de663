import { describe, expect, it } from "vitest";
import { summarizeTests, type TestReport } from "./test-summary.ts";

function report(name: string, statuses: readonly string[]): TestReport {
  const count = (status: string) => statuses.filter((other) => other === status).length;
  return {
    numPassedTests: count("passed"),
    numFailedTests: count("failed"),
    numPendingTests: count("skipped"),
    numTodoTests: count("todo"),
    testResults: [{ name, assertionResults: statuses.map((status) => ({ fullName: `is ${status}`, status })) }],
  };
}

describe("summarizeTests", () => {
  it("is all zeros for no reports", () => {
    expect(summarizeTests([])).toEqual({ passed: 0, failed: 0, skipped: 0, skippedTests: [] });
  });

  it("adds reports up and names what did not run", () => {
    const reports = [report("a.test.ts", ["passed", "skipped", "passed"]), report("b.test.ts", ["failed", "todo"])];
    expect(summarizeTests(reports)).toEqual({
      passed: 2,
      failed: 1,
      skipped: 2,
      skippedTests: ["a.test.ts: is skipped", "b.test.ts: is todo"],
    });
  });
});
