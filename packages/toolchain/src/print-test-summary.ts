// Prints `N passed, N failed, N skipped` for the last run of all tests, from the reports they left in `.vitest`, and before
// it a line for each test that failed or did not run.
// Exit code 1 if a package with tests left no report, if no test ran, if one failed, or if one was skipped.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { summarizeTests } from "./test-summary.ts";
import { workspacePackages } from "./workspace-packages.ts";

const tested = workspacePackages().filter(({ manifest }) => manifest.scripts?.test !== undefined);
const paths = tested.map(({ directory }) => join(directory, ".vitest/report.json"));
const missing = tested.filter((_, index) => !existsSync(paths[index] ?? "")).map(({ manifest }) => manifest.name);
const reports = paths.filter((path) => existsSync(path)).map((path) => JSON.parse(readFileSync(path, "utf8")));
const { passed, failed, skipped, failedTests, skippedTests } = summarizeTests(reports);

for (const name of missing) console.log(`no test report from ${name}`);
for (const name of failedTests) console.log(`failed: ${name}`);
for (const name of skippedTests) console.log(`did not run: ${name}`);
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode =
  missing.length === 0 && passed > 0 && failed === 0 && failedTests.length === 0 && skipped === 0 ? 0 : 1;
