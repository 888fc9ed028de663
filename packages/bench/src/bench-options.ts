import { parseArgs } from "node:util";

export interface BenchOptions {
  /** Names of tables, in the order in which they run. */
  readonly tables: readonly string[];
  readonly rounds: number;
  /** Tiny batches: does everything answer rightly? */
  readonly short: boolean;
  readonly seed: number;
  /** File for the result as JSON. */
  readonly json: string | undefined;
  /** File for the result as Markdown, instead of stdout. */
  readonly markdown: string | undefined;
  /** Puts the result into this package: README.md, results.json, chart.svg. */
  readonly write: boolean;
}

export const usage = "pnpm bench [table…] [--rounds N] [--short] [--seed N] [--json FILE] [--markdown FILE] [--write]";

const defaultRounds = 9;
const shortRounds = 3;
const mostRounds = 1_000;

/**
 * What the arguments of the command ask for. No tables mean all of them, each once.
 * @throws {TypeError} {RangeError} naming the argument and the rule.
 */
export function parseBenchOptions(
  args: readonly string[],
  known: readonly string[],
  randomSeed: () => number,
): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      rounds: { type: "string" },
      short: { type: "boolean", default: false },
      seed: { type: "string" },
      json: { type: "string" },
      markdown: { type: "string" },
      write: { type: "boolean", default: false },
    },
  });
  for (const name of positionals) {
    if (!known.includes(name)) throw new TypeError(`there is no table "${name}"; there are ${known.join(", ")}`);
  }
  const { short, json, markdown, write } = values;
  if (write && short) throw new TypeError("--write is not for --short: its figures say nothing");
  for (const [name, file] of Object.entries({ json, markdown })) {
    if (file === "") throw new TypeError(`--${name} needs the name of a file`);
  }
  return {
    tables: positionals.length === 0 ? known : [...new Set(positionals)],
    rounds: wholeNumber("rounds", values.rounds, 1, mostRounds) ?? (short ? shortRounds : defaultRounds),
    short,
    seed: wholeNumber("seed", values.seed, 0, 2 ** 32 - 1) ?? randomSeed(),
    json,
    markdown,
    write,
  };
}

function wholeNumber(name: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) {
    throw new RangeError(`--${name} must be a whole number from ${least} to ${most}, got ${JSON.stringify(text)}`);
  }
  return value;
}
