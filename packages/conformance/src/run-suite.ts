import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { systemClock } from "@cpg/resilience";
import type { InstalledSuite } from "./install-suite.ts";
import { inPackage } from "./suite.ts";

export const sides = ["server", "client", "router"] as const;
export type Side = (typeof sides)[number];

export interface SuiteRun {
  readonly suite: InstalledSuite;
  /** Which side is ours; "router": what is between the suite's client and its server. */
  readonly side: Side;
  readonly httpVersion: "1.1" | "2";
  /** Plain connect-node instead of our code. Every failure counts then. */
  readonly plain: boolean;
}

export interface SuiteOutcome extends Pick<SuiteRun, "side" | "httpVersion"> {
  readonly passed: number;
  readonly total: number;
  readonly knownFailing: number;
  readonly ok: boolean;
  readonly seconds: number;
  readonly output: string;
}

/** A run takes about 20 s on two cores. */
const suiteTimeoutMs = 2 * 60_000;
/** Time for the runner to end its own programs before it is killed. */
const stopGraceMs = 5_000;
/** Kept of the runner's output, which names every failed case. */
const maxOutputBytes = 4 * 1024 * 1024;

/** Runs the suite against one side and HTTP version, within a bound. */
export async function runSuite({ suite, side, httpVersion, plain }: SuiteRun): Promise<SuiteOutcome> {
  const version = `HTTPVersion:${httpVersion === "2" ? 2 : 1}`;
  const listed = plain ? [] : readNames(`known-failing-${side}.txt`).filter((name) => name.includes(`/${version}/`));
  const started = systemClock.monotonic();
  const runner = spawn(
    suite.runner,
    [
      ...["--conf", inPackage("conformance.yaml"), "--mode", side === "client" ? "client" : "server"],
      ...["--run", `**/${version}/**`],
      ...listed.flatMap((name) => ["--known-failing", name]),
      ...["--", process.execPath, inPackage(`src/${side}-under-test.ts`), ...(plain ? ["--plain"] : [])],
      ...(side === "router" ? [suite.referenceServer] : []),
    ],
    // A group of its own, so that what the runner started ends with it.
    { stdio: ["ignore", "pipe", "pipe"], detached: true },
  );
  let output = "";
  const keep = (chunk: Buffer) => {
    if (output.length < maxOutputBytes) output += chunk.toString();
  };
  runner.stdout.on("data", keep);
  runner.stderr.on("data", keep);
  const bound = new AbortController();
  const ended = new Promise<number | null>((resolve) => {
    runner.once("error", (error) => {
      output += `${error.message}\n`;
      resolve(null);
    });
    runner.once("close", resolve);
  });
  const stopGroup = (signal: NodeJS.Signals) => {
    if (runner.pid === undefined) return;
    try {
      process.kill(-runner.pid, signal);
    } catch {
      // nobody is left
    }
  };
  stopAfter(stopGroup, bound.signal).catch(() => {}); // it ended in time
  const code = await ended;
  bound.abort();

  const count = (pattern: RegExp) => Number(pattern.exec(output)?.[1] ?? 0);
  const total = count(/Total cases: (\d+)/);
  return {
    side,
    httpVersion,
    passed: count(/(\d+) passed/),
    total,
    knownFailing: count(/(\d+) failed as expected/),
    ok: code === 0 && total > 0,
    seconds: Math.round((systemClock.monotonic() - started) / 1_000),
    output,
  };
}

async function stopAfter(kill: (signal: NodeJS.Signals) => void, ended: AbortSignal): Promise<void> {
  await systemClock.sleep(suiteTimeoutMs, ended);
  kill("SIGTERM");
  await systemClock.sleep(stopGraceMs, ended);
  kill("SIGKILL");
}

function readNames(file: string): string[] {
  return readFileSync(inPackage(file), "utf8")
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("#"));
}
