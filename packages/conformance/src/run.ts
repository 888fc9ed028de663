// Runs the suites and prints one table. `--only server|client|router|memory|h2spec` runs one of them; `--plain` runs those of
// them that can be against plain connect-node instead; `--write` puts the table into README.md. Exit code 1 on a failure
// that is not in the checked-in lists, on a listed one that passes, and if README.md shows another table.
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { runH2spec } from "./h2spec/run-h2spec.ts";
import { installSuite, isGoInstalled } from "./install-suite.ts";
import { readmeTable, writeReadmeTable } from "./readme-table.ts";
import { runSuite, sides } from "./run-suite.ts";
import { H2SPEC_COMMAND, H2SPEC_VERSION, inPackage, SUITE_COMMAND, SUITE_VERSION } from "./suite.ts";
import type { SuiteRow } from "./suite-row.ts";
import { renderTable } from "./suite-table.ts";

const { values } = parseArgs({
  options: {
    plain: { type: "boolean", default: false },
    only: { type: "string" },
    write: { type: "boolean", default: false },
  },
});
const { plain, only, write } = values;
const inCi = process.env.CI !== undefined && process.env.CI !== "" && process.env.CI !== "false";
if (only !== undefined && ![...sides, "h2spec"].includes(only)) throw new Error(`there is no suite for --only ${only}`);
const complete = !plain && only === undefined;
if (write && !complete) throw new Error("--write needs a run of everything");

if (!isGoInstalled()) {
  console.error(
    "The suites are Go programs, and there is no `go` on the PATH.\n" +
      "Install Go from https://go.dev/dl/; the suites themselves are then built here:\n" +
      `  ${SUITE_COMMAND}@${SUITE_VERSION}\n  ${H2SPEC_COMMAND}@${H2SPEC_VERSION}\n` +
      (inCi ? "" : "Skipped."),
  );
  process.exit(inCi ? 1 : 0);
}

// The runner starts some twenty programs of ours and waits 10 s for each; with it they take half of their time.
process.env.NODE_COMPILE_CACHE ??= inPackage(".bin/compile-cache");
const suite = installSuite();
const wanted = sides
  .filter((side) => (only === undefined || only === side) && !(plain && (side === "router" || side === "memory")))
  .flatMap((side) =>
    (side === "memory" ? (["2"] as const) : (["1.1", "2"] as const)).map(
      (httpVersion) => () => runSuite({ suite, side, httpVersion, plain }),
    ),
  );
const [rows, h2specRows] = await Promise.all([
  inParallel(wanted, availableParallelism()),
  // Beside them, as it waits for most of its time.
  plain || (only !== undefined && only !== "h2spec")
    ? []
    : Promise.all([runH2spec(suite.h2spec, "h2c"), runH2spec(suite.h2spec, "TLS")]),
]);
const all = [...rows, ...h2specRows];

for (const { output, ok } of all) if (!ok) console.error(output);
if (plain) console.log("Plain connect-node:");
console.log(renderTable(all));
process.exitCode = all.every(({ ok }) => ok) ? 0 : 1;
if (complete && process.exitCode === 0) {
  if (write) writeReadmeTable(all);
  else if (readmeTable() !== renderTable(all)) {
    console.error("README.md shows another table: `pnpm conformance --write` puts this one there.");
    process.exitCode = 1;
  }
}

/** Their results in their order. They are begun in the reverse one: the last take longest. */
async function inParallel(runs: readonly (() => Promise<SuiteRow>)[], width: number): Promise<SuiteRow[]> {
  const results: SuiteRow[] = [];
  const waiting = [...runs.entries()];
  const work = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [index, run] = next;
      const row = await run();
      console.log(`${row.suite}: ${row.side}, ${row.over}: ${row.ok ? "ok" : "FAILED"} (${row.seconds} s)`);
      results[index] = row;
    }
  };
  await Promise.all(Array.from({ length: width }, work));
  return results;
}
