/** What this project reads of vitest's JSON report. */
export interface TestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  /** Skipped ones. */
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly name: string;
    /** "failed" also when the file could not be run. */
    readonly status?: string | undefined;
    /** Why it could not be run; else empty. */
    readonly message?: string | undefined;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[] | null | undefined;
    }[];
  }[];
}

export interface TestSummary {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Names of the tests that failed, and of files that could not be run, each with the first line of its message. */
  readonly failedTests: readonly string[];
  /** Names of the tests that did not run. */
  readonly skippedTests: readonly string[];
}

/** All reports together. A test that is still to be written counts as skipped. */
export function summarizeTests(reports: readonly TestReport[]): TestSummary {
  const sum = (count: (report: TestReport) => number) => reports.reduce((total, report) => total + count(report), 0);
  return {
    passed: sum(({ numPassedTests }) => numPassedTests),
    failed: sum(({ numFailedTests }) => numFailedTests),
    skipped: sum(({ numPendingTests, numTodoTests }) => numPendingTests + numTodoTests),
    failedTests: reports.flatMap(({ testResults }) => testResults.flatMap(failuresOf)),
    skippedTests: reports.flatMap(({ testResults }) =>
      testResults.flatMap(({ name, assertionResults }) =>
        assertionResults
          .filter(({ status }) => status !== "passed" && status !== "failed")
          .map(({ fullName }) => `${name}: ${fullName}`),
      ),
    ),
  };
}

function failuresOf({ name, status, message, assertionResults }: TestReport["testResults"][number]): string[] {
  const failed = assertionResults
    .filter((test) => test.status === "failed")
    .map(({ fullName, failureMessages }) => `${name}: ${fullName}${firstLine(failureMessages?.[0])}`);
  return failed.length === 0 && status === "failed" ? [`${name}${firstLine(message)}`] : failed;
}

function firstLine(message: string | undefined): string {
  const line = message?.trim().split("\n", 1)[0];
  return line ? `: ${line}` : "";
}
