/** One line of the table: a suite against one side of ours. */
export interface SuiteRow {
  readonly suite: string;
  /** What of ours is tested. */
  readonly side: string;
  readonly over: string;
  readonly passed: number;
  readonly total: number;
  /** Cases that failed and are listed as failing. */
  readonly knownFailing: number;
  /** Nothing failed that is not listed, and all failed that is. */
  readonly ok: boolean;
  readonly seconds: number;
  /** What the suite said; shown when something is wrong. */
  readonly output: string;
}
