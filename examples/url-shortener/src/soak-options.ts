import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";

export interface SoakOptions {
  readonly durationMs: number;
  readonly callers: number;
  /** Of what is done to which plugin, and when. */
  readonly seed: number;
}

export const SOAK_USAGE = "soak [--minutes 10 | --seconds N] [--callers 8] [--seed N]";

/** @throws {TypeError} {RangeError} naming the option. */
export function parseSoakOptions(args: readonly string[]): SoakOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: "string" },
      seconds: { type: "string" },
      callers: { type: "string", default: "8" },
      seed: { type: "string", default: String(randomInt(2 ** 31)) },
    },
  });
  const { minutes = "10", seconds } = values;
  if (seconds !== undefined && values.minutes !== undefined)
    throw new TypeError("give --minutes or --seconds, not both");
  const durationMs =
    seconds === undefined
      ? number("--minutes", minutes, 24 * 60) * 60_000
      : number("--seconds", seconds, 86_400) * 1_000;
  return {
    durationMs,
    callers: number("--callers", values.callers, 1_000),
    seed: number("--seed", values.seed, 2 ** 31),
  };
}

function number(option: string, text: string, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= most) return value;
  throw new RangeError(`${option} must be a whole number from 1 to ${most}, got "${text}"`);
}
