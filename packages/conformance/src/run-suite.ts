import type { InstalledSuite } from "./install-suite.ts";
import { readKnownFailing } from "./known-failing.ts";
import { runProgram } from "./run-program.ts";
import { inPackage, SUITE_VERSION } from "./suite.ts";
import type { SuiteRow } from "./suite-row.ts";

export const sides = ["server", "client", "router", "memory"] as const;
export type Side = (typeof sides)[number];

export interface SuiteRun {
  readonly suite: InstalledSuite;
  /** Which side is ours; "router": what is between the suite's client and its server; "memory": client and server. */
  readonly side: Side;
  /** Of no meaning in memory. */
  readonly httpVersion: "1.1" | "2";
  /** Plain connect-node instead of our code. Every failure counts then. */
  readonly plain: boolean;
}

/** The suites of cases that say what a call does. The others are about bytes: how they are framed, encoded and compressed. */
const memorySuites = [
  "Basic",
  "Client Cancellation",
  "Deadline Propagation",
  "Duplicate Metadata",
  "Errors",
  "Timeouts",
] as const;

/** A run takes about 40 s on a core. */
const suiteTimeoutMs = 4 * 60_000;

/** Processes at a time in one run. More take no less time, and longer to start than the runner waits on a busy machine. */
const maxServers = "2";

/** Runs the suite against one side and HTTP version, within a bound. */
export async function runSuite(run: SuiteRun): Promise<SuiteRow> {
  const { suite, side, httpVersion, plain } = run;
  const memory = side === "memory";
  const version = `HTTPVersion:${httpVersion === "2" ? 2 : 1}`;
  const listed =
    plain || memory
      ? []
      : readKnownFailing(`known-failing-${side}.txt`).filter((name) => name.includes(`/${version}/`));
  const cases = memory ? memorySuites.map((name) => `${name}/**`) : [`**/${version}/**`];
  const { code, output, seconds } = await runProgram(
    suite.runner,
    [
      ...["--conf", inPackage(memory ? "conformance-memory.yaml" : "conformance.yaml")],
      ...["--mode", side === "client" || memory ? "client" : "server"],
      ...["--max-servers", maxServers],
      ...cases.flatMap((pattern) => ["--run", pattern]),
      ...listed.flatMap((name) => ["--known-failing", name]),
      ...["--", process.execPath, ...programOf(run)],
    ],
    suiteTimeoutMs,
  );
  const count = (pattern: RegExp) => Number(pattern.exec(output)?.[1] ?? 0);
  const total = count(/Total cases: (\d+)/);
  return {
    suite: `Connect conformance ${SUITE_VERSION}`,
    side: memory ? "client and server" : side,
    over: memory ? "memory" : `HTTP/${httpVersion}`,
    passed: count(/(\d+) passed/),
    total,
    knownFailing: count(/(\d+) failed as expected/),
    ok: code === 0 && total > 0,
    seconds,
    output,
  };
}

/** The program that the runner starts, and its arguments. */
function programOf({ suite, side, plain }: SuiteRun): string[] {
  if (side === "memory") return [inPackage("src/client-under-test.ts"), "--memory"];
  const program = inPackage(`src/${side}-under-test.ts`);
  if (side === "router") return [program, suite.referenceServer];
  return plain ? [program, "--plain"] : [program];
}
