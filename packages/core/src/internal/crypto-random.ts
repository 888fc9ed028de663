import { randomInt } from "node:crypto";

/** At least 0 and less than 1. The default where randomness can be passed in. */
export function cryptoRandom(): number {
  return randomInt(2 ** 32) / 2 ** 32;
}
