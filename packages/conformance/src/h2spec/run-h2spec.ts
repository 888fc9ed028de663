import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readKnownFailing } from "../known-failing.ts";
import { runProgram } from "../run-program.ts";
import { createSelfSigned, type SelfSigned } from "../self-signed.ts";
import { H2SPEC_VERSION } from "../suite.ts";
import type { SuiteRow } from "../suite-row.ts";
import { type H2specCase, type H2specResult, parseCases, parseReport, resultOf } from "./h2spec-cases.ts";
import { type H2specTarget, openBareTarget, openListenerTarget, targetPath } from "./h2spec-targets.ts";
import { judgeH2spec } from "./judge-h2spec.ts";

/**
 * Seconds that a case waits for an answer. Most of the listed ones fail because none comes; the others have one, however
 * slow the machine.
 */
const listedTimeoutS = 2;
const unlistedTimeoutS = 20;
const runTimeoutMs = 3 * 60_000;

/** Checks the HTTP/2 of the listener, and that Node alone fails the cases that are listed. */
export async function runH2spec(h2spec: string, over: "h2c" | "TLS"): Promise<SuiteRow> {
  const { code, output: dryRun } = await runProgram(h2spec, ["--strict", "--dryrun", "--port", "1"], runTimeoutMs);
  if (code !== 0) throw new Error(`h2spec does not list its cases: ${dryRun}`);
  const cases = parseCases(dryRun);
  const known = readKnownFailing("known-failing-h2spec.txt")
    .map((line) => /^(\S+) (\S+) /.exec(`${line} `))
    .filter((found) => found?.[1] === over || found?.[1] === "both")
    .map((found) => found?.[2] ?? "");
  const listed = cases.filter(({ id }) => known.includes(id));
  const unlisted = cases.filter(({ id }) => !known.includes(id));

  const tls = over === "TLS" ? await createSelfSigned() : undefined;
  const [listener, bare] = await Promise.all([openListenerTarget(tls), openBareTarget(tls)]);
  try {
    const [passing, failing, proof] = await Promise.all([
      runCases({ h2spec, target: listener, tls, cases: unlisted, timeoutS: unlistedTimeoutS }),
      runCases({ h2spec, target: listener, tls, cases: listed, timeoutS: listedTimeoutS }),
      runCases({ h2spec, target: bare, tls, cases: listed, timeoutS: listedTimeoutS }),
    ]);
    const { problems, ...counts } = judgeH2spec({
      cases,
      known,
      results: new Map([...passing.results, ...failing.results]),
      bare: proof.results,
    });
    return {
      suite: `h2spec ${H2SPEC_VERSION}`,
      side: "listener",
      over,
      ...counts,
      ok: problems.length === 0,
      seconds: Math.max(passing.seconds, failing.seconds, proof.seconds),
      output: [...problems.map((problem) => `h2spec, ${over}: ${problem}`), passing.output, failing.output].join("\n"),
    };
  } finally {
    await Promise.all([listener.close(), bare.close()]);
  }
}

interface CasesRun {
  readonly h2spec: string;
  readonly target: H2specTarget;
  readonly tls: SelfSigned | undefined;
  readonly cases: readonly H2specCase[];
  readonly timeoutS: number;
}

/** Results by id of the case. */
async function runCases({ h2spec, target, tls, cases, timeoutS }: CasesRun) {
  if (cases.length === 0) return { results: new Map<string, H2specResult>(), output: "", seconds: 0 };
  const folder = await mkdtemp(join(tmpdir(), "h2spec-"));
  try {
    const report = join(folder, "report.xml");
    const { output, seconds } = await runProgram(
      h2spec,
      [
        ...["--strict", "--host", "127.0.0.1", "--port", String(target.port), "--path", targetPath],
        ...["--timeout", String(timeoutS), "--junit-report", report, ...(tls ? ["--tls", "--insecure"] : [])],
        ...cases.map(({ id }) => id),
      ],
      runTimeoutMs,
    );
    const reported = parseReport(await readFile(report, "utf8").catch(() => ""));
    const results = new Map<string, H2specResult>();
    for (const one of cases) {
      const result = resultOf(reported, one);
      if (result !== undefined) results.set(one.id, result);
    }
    return { results, output, seconds };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
