/**
 * Runs every step, one after the other, and awaits what it returns, even when some fail.
 * @throws {AggregateError} of what they threw, after all of them ran.
 */
export async function runAll(message: string, steps: readonly (() => unknown)[]): Promise<void> {
  const errors: unknown[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, message);
}
