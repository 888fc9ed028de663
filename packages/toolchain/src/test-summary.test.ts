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
    expect(summarizeTests([])).toEqual({ passed: 0, failed: 0, skipped: 0, failedTests: [], skippedTests: [] });
  });

  it("adds reports up and names what did not run", () => {
    const reports = [report("a.test.ts", ["passed", "skipped", "passed"]), report("b.test.ts", ["failed", "todo"])];
    expect(summarizeTests(reports)).toEqual({
      passed: 2,
      failed: 1,
      skipped: 2,
      failedTests: ["b.test.ts: is failed"],
      skippedTests: ["a.test.ts: is skipped", "b.test.ts: is todo"],
    });
  });

  it("names what failed, with the first line of its first message", () => {
    const failed = {
      ...report("a.test.ts", []),
      testResults: [
        {
          name: "a.test.ts",
          status: "failed",
          message: "",
          assertionResults: [
            {
              fullName: "adds",
              status: "failed",
              failureMessages: ["\nError: 3 is not 4\n    at a.test.ts:3", "more"],
            },
            { fullName: "says nothing", status: "failed", failureMessages: [] },
            { fullName: "takes away", status: "passed", failureMessages: [] },
          ],
        },
      ],
    };
    expect(summarizeTests([failed]).failedTests).toEqual([
      "a.test.ts: adds: Error: 3 is not 4",
      "a.test.ts: says nothing",
    ]);
  });

  it("names a file that could not be run", () => {
    const broken = {
      name: "b.test.ts",
      status: "failed",
      message: "no such module\n  at b.test.ts",
      assertionResults: [],
    };
    expect(summarizeTests([{ ...report("b.test.ts", []), testResults: [broken] }]).failedTests).toEqual([
      "b.test.ts: no such module",
    ]);
  });
});
