/** Message bytes count in 32 bits, as everywhere in Connect. */
const maxMessageLimit = 2 ** 32 - 1;

/** @throws {RangeError} naming the option. */
export function checkMessageBytes(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1 || value > maxMessageLimit) {
    throw new RangeError(`${name} must be a whole number from 1 to ${maxMessageLimit}, got ${value}`);
  }
}
