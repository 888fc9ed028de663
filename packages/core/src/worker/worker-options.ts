import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { ResourceLimits } from "node:worker_threads";
import { checkChildEnvironment, DEFAULT_INHERITED } from "../launch/process/child-environment.ts";

export interface WorkerStrategyOptions {
  /** The plugin's file: a path, which starts at the working directory of the host, or a file URL. */
  readonly entry: string | URL;
  /** Its `process.argv` after the entry. Default: none. */
  readonly args?: readonly string[] | undefined;
  /** Flags of Node for the thread; those of the process as a whole are refused. Default: none, also not the host's. */
  readonly nodeArgs?: readonly string[] | undefined;
  /** Variables of the plugin's own. PORT, HOST_URL and the CPG_ variables of the launch are refused. Default: none. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /**
   * Names of the variables that the plugin gets from the host's environment; a final * stands for any ending. Its
   * `process.env` is a copy. Default: PATH, HOME, LANG, LC_*, TZ, TMPDIR.
   */
  readonly inheritEnv?: readonly string[] | undefined;
  /**
   * Bounds on the JavaScript heap and the stack of the thread, in MB, as Node has them. A thread that reaches them ends;
   * one that grows by much in a single step can still end the whole process, and buffers do not count.
   * `maxOldGenerationSizeMb` from 16, `stackSizeMb` from 0.5: below them Node itself may end the process. Default: Node's.
   */
  readonly resourceLimits?: ResourceLimits | undefined;
  /** Longest line of output that is kept, in bytes; the rest of it is counted. From 256. Default 65 536. */
  readonly maxLineBytes?: number | undefined;
  /** Log records a second and stream; the lines above that are dropped and counted. From 1. Default 10 000. */
  readonly maxLinesPerSecond?: number | undefined;
}

export type ResolvedWorkerOptions = Required<{
  readonly [Name in keyof WorkerStrategyOptions]: Exclude<WorkerStrategyOptions[Name], undefined>;
}> & { readonly entry: string };

const leastLimits: Readonly<Record<keyof ResourceLimits, number>> = {
  maxOldGenerationSizeMb: 16,
  maxYoungGenerationSizeMb: 0,
  codeRangeSizeMb: 0,
  stackSizeMb: 0.5,
};

/** @throws {TypeError} {RangeError} naming the option and the rule. */
export function resolveWorkerOptions(options: WorkerStrategyOptions): ResolvedWorkerOptions {
  const { args = [], nodeArgs = [], env = {}, inheritEnv = DEFAULT_INHERITED, resourceLimits = {} } = options;
  const { maxLineBytes = 65_536, maxLinesPerSecond = 10_000 } = options;
  const entry = entryPath(options.entry);
  checkTexts("args", args);
  checkTexts("nodeArgs", nodeArgs);
  checkChildEnvironment(inheritEnv, env);
  checkWhole("maxLineBytes", maxLineBytes, 256);
  checkWhole("maxLinesPerSecond", maxLinesPerSecond, 1);
  return {
    entry,
    args: [...args],
    nodeArgs: [...nodeArgs],
    env: { ...env },
    inheritEnv: [...inheritEnv],
    resourceLimits: checkedLimits(resourceLimits),
    maxLineBytes,
    maxLinesPerSecond,
  };
}

function entryPath(entry: string | URL): string {
  if (entry instanceof URL) {
    if (entry.protocol !== "file:") throw new TypeError(`entry must be a file, got a URL of ${entry.protocol}`);
    return fileURLToPath(entry);
  }
  if (entry === "") throw new TypeError("entry must not be empty");
  checkTexts("entry", [entry]);
  return resolve(entry);
}

function checkTexts(option: string, values: readonly string[]): void {
  for (const value of values) {
    if (typeof value !== "string" || value.includes("\0")) {
      throw new TypeError(`${option} must be a string without NUL`);
    }
  }
}

function checkedLimits(limits: ResourceLimits): ResourceLimits {
  const checked: Record<string, number> = {};
  for (const [name, value] of Object.entries(limits)) {
    const least = Object.hasOwn(leastLimits, name) ? leastLimits[name as keyof ResourceLimits] : undefined;
    if (least === undefined) throw new TypeError(`resourceLimits.${name} is no limit of Node`);
    if (value === undefined) continue;
    if (typeof value !== "number" || !(value > 0 && value >= least && value < Number.POSITIVE_INFINITY)) {
      const rule = least === 0 ? "greater than 0" : `from ${least}`;
      throw new RangeError(`resourceLimits.${name} must be a number of MB ${rule}, got ${value}`);
    }
    checked[name] = value;
  }
  return checked;
}

function checkWhole(name: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least) {
    throw new RangeError(`${name} must be a whole number from ${least}, got ${value}`);
  }
}
