import { randomInt } from "node:crypto";

const steps = 2 ** 32;

/** At least 0 and less than 1. The default where a source of random numbers can be passed in. */
export function cryptoRandom(): number {
  return randomInt(steps) / steps;
}
