/** The same items in a random order, each order as likely as any other; the given array stays as it is. */
export function shuffle<T>(items: readonly T[], random: () => number): T[] {
  const shuffled: T[] = [];
  for (const item of items) shuffled.splice(Math.floor(random() * (shuffled.length + 1)), 0, item);
  return shuffled;
}
