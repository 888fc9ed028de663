/**
 * Runs every step, one after the other, even when some fail.
 * @throws {AggregateError} of what they threw, after all of them ran.
 */
export async function runAll(
  message: string,
  steps: readonly (() => void | Promise<unknown> | undefined)[],
): Promise<void> {
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
