// Runs the suites and prints a table. `--plain` runs them against plain connect-node instead; `--only client|server|router`
// runs one of them. Exit code 1 on a failure that is not in the checked-in lists, and on a listed one that passes.
import { parseArgs } from "node:util";
import { installSuite, isGoInstalled } from "./install-suite.ts";
import { runSuite, type SuiteOutcome, sides } from "./run-suite.ts";
import { SUITE_COMMAND, SUITE_VERSION } from "./suite.ts";

const { values } = parseArgs({ options: { plain: { type: "boolean", default: false }, only: { type: "string" } } });
const inCi = process.env.CI !== undefined && process.env.CI !== "" && process.env.CI !== "false";

if (!isGoInstalled()) {
  console.error(
    "The conformance suite is a Go program, and there is no `go` on the PATH.\n" +
      `Install Go from https://go.dev/dl/; the suite itself, ${SUITE_COMMAND}@${SUITE_VERSION}, is then built here.\n` +
      (inCi ? "" : "Skipped."),
  );
  process.exit(inCi ? 1 : 0);
}
const suite = installSuite();
const outcomes: SuiteOutcome[] = [];
for (const side of sides) {
  if (values.plain && side === "router") continue;
  for (const httpVersion of ["1.1", "2"] as const) {
    if (values.only !== undefined && values.only !== side) continue;
    outcomes.push(await runSuite({ suite, side, httpVersion, plain: values.plain }));
  }
}

for (const { output, ok } of outcomes) if (!ok) console.error(output);
console.log(`Connect conformance ${SUITE_VERSION}${values.plain ? ", plain connect-node" : ""}`);
console.table(
  Object.fromEntries(
    outcomes.map(({ side, httpVersion, passed, total, knownFailing, ok, seconds }) => [
      `${side}, HTTP/${httpVersion}`,
      { passed: `${passed} of ${total}`, "known failing": knownFailing, seconds, result: ok ? "ok" : "FAILED" },
    ]),
  ),
);
process.exitCode = outcomes.every(({ ok }) => ok) ? 0 : 1;
