import { type Clock, systemClock, type TokenBucketConfig } from "@cpg/resilience";

export interface LoggerOptions {
  /** Characters of a message that are written. Whole number from 1. Default 8 192. */
  readonly maxMessage?: number | undefined;
  /** Fields of an entry that are written. Whole number from 0. Default 32. */
  readonly maxFields?: number | undefined;
  /** Characters of a field's name. Whole number from 1. Default 128. */
  readonly maxKey?: number | undefined;
  /** Characters of a field's value. Whole number from 1. Default 2 048. */
  readonly maxValue?: number | undefined;
  /** Entries that one plugin may write at once. At least 1. Default 200. */
  readonly burst?: number | undefined;
  /** Entries that one plugin may write in the long run. Greater than 0. Default 50. */
  readonly perSecond?: number | undefined;
  readonly clock?: Clock | undefined;
}

export interface LogLimits {
  readonly maxMessage: number;
  readonly maxFields: number;
  readonly maxKey: number;
  readonly maxValue: number;
}

export interface ResolvedLoggerOptions {
  readonly limits: LogLimits;
  readonly flood: TokenBucketConfig;
  readonly clock: Clock;
}

/** @throws {RangeError} naming the option. */
export function resolveLoggerOptions(options: LoggerOptions = {}): ResolvedLoggerOptions {
  const { maxMessage = 8_192, maxFields = 32, maxKey = 128, maxValue = 2_048 } = options;
  const { burst = 200, perSecond = 50, clock = systemClock } = options;
  for (const [name, value] of Object.entries({ maxMessage, maxKey, maxValue })) checkWhole(name, value, 1);
  checkWhole("maxFields", maxFields, 0);
  if (!(Number.isFinite(burst) && burst >= 1)) throw new RangeError(`burst must be a number from 1, got ${burst}`);
  if (!(Number.isFinite(perSecond) && perSecond > 0)) {
    throw new RangeError(`perSecond must be a number greater than 0, got ${perSecond}`);
  }
  return {
    limits: { maxMessage, maxFields, maxKey, maxValue },
    flood: { capacity: burst, refillPerSecond: perSecond },
    clock,
  };
}

function checkWhole(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new RangeError(`${name} must be a whole number from ${least}, got ${value}`);
  }
}
