import { readFileSync } from "node:fs";
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { BadChoice } from "../rule/bad-choice.ts";
import { countResults, resultLine, summaryLine } from "../rule/report.ts";
import type { Rule } from "../rule/rule.ts";
import type { RuleResult } from "../rule/run-rules.ts";

/** Flags of both commands. */
const commonFlags = {
  endpoint: { type: "string" },
  ca: { type: "string" },
  "listen-host": { type: "string" },
  "public-host": { type: "string" },
  strict: { type: "boolean" },
  rule: { type: "string", multiple: true },
  timeout: { type: "string" },
  json: { type: "boolean" },
  list: { type: "boolean" },
  help: { type: "boolean" },
} as const satisfies ParseArgsOptionsConfig;

/** What both commands are told. */
export interface CommonChoices {
  readonly endpoint: string | undefined;
  readonly ca: string | undefined;
  readonly listenHost: string | undefined;
  readonly publicHost: string | undefined;
  readonly strict: boolean;
  readonly only: readonly string[];
  readonly ruleTimeoutMs: number | undefined;
}

export interface Command<Flags extends ParseArgsOptionsConfig> {
  readonly usage: string;
  readonly flags: Flags;
  /** Shown by --list. */
  readonly rules: readonly Pick<Rule<never>, "id" | "section" | "expects" | "level" | "mayLack">[];
  /** @throws {BadChoice} */
  run(
    choices: CommonChoices,
    own: Readonly<Record<keyof Flags, string | boolean | undefined>>,
    onResult: (result: RuleResult) => void,
  ): Promise<RuleResult[]>;
}

/** All rules together have no more. */
const maxTimeoutSeconds = 300;

/**
 * Runs a command and returns its exit code: 0 when no rule failed, 1 when one did, 2 when it was called wrongly. Results go to
 * stdout: a line for each rule as it is looked at, or with --json one object at the end.
 */
export async function runCommand<Flags extends ParseArgsOptionsConfig>(
  command: Command<Flags>,
  args: readonly string[],
  output: Pick<Console, "log" | "error"> = console,
): Promise<0 | 1 | 2> {
  try {
    const { values } = parseArgs({ args: [...args], options: { ...command.flags, ...commonFlags }, strict: true });
    const given = values as Record<string, string | boolean | string[] | undefined>;
    if (given.help === true) {
      output.log(command.usage);
      return 0;
    }
    if (given.list === true) {
      for (const rule of command.rules) output.log(`${rule.id}: ${rule.expects} [${rule.section}]${noteOf(rule)}`);
      return 0;
    }
    const json = given.json === true;
    const own = given as Readonly<Record<keyof Flags, string | boolean | undefined>>;
    const results = await command.run(readChoices(given), own, (result) => {
      if (!json) output.log(resultLine(result));
    });
    const counts = countResults(results);
    output.log(json ? JSON.stringify({ counts, results }, undefined, 2) : summaryLine(results));
    return counts.FAILED === 0 ? 0 : 1;
  } catch (reason) {
    output.error(`${usageFault(reason)}\n\n${command.usage}`);
    return 2;
  }
}

function readChoices(given: Readonly<Record<string, string | boolean | string[] | undefined>>): CommonChoices {
  const text = (flag: string): string | undefined => {
    const value = given[flag];
    return typeof value === "string" ? value : undefined;
  };
  const { rule } = given;
  return {
    endpoint: text("endpoint"),
    ca: readCa(text("ca")),
    listenHost: text("listen-host"),
    publicHost: text("public-host"),
    strict: given.strict === true,
    only: Array.isArray(rule) ? rule : [],
    ruleTimeoutMs: readTimeoutMs(text("timeout")),
  };
}

function readTimeoutMs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (!(seconds > 0 && seconds <= maxTimeoutSeconds)) {
    throw new BadChoice(
      "timeout",
      `must be a number of seconds up to ${maxTimeoutSeconds}, not ${JSON.stringify(text)}`,
    );
  }
  return seconds * 1000;
}

function readCa(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, "utf8");
  } catch (reason) {
    throw new BadChoice("ca", `cannot be read: ${reason instanceof Error ? reason.message : file}`);
  }
}

function noteOf({ level, mayLack }: Pick<Rule<never>, "level" | "mayLack">): string {
  if (level === "ours") return " (programs of ours; of others with --strict)";
  return mayLack === true ? " (others may lack it, without --strict)" : "";
}

/** @throws whatever is not about how the command was called. */
function usageFault(reason: unknown): string {
  if (reason instanceof BadChoice) return `--${reason.flag} ${reason.message}`;
  // Flags that parseArgs does not know: its message names them.
  const unknown = reason instanceof TypeError && "code" in reason && String(reason.code).startsWith("ERR_PARSE_ARGS");
  if (!unknown) throw reason;
  return reason.message;
}
