/** What an SRV record says of a target, RFC 2782. */
export interface SrvRecord {
  readonly name: string;
  readonly port: number;
  /** Lower comes first. */
  readonly priority: number;
  /** Share among those of the same priority, 0 to 65535. */
  readonly weight: number;
}

/**
 * The records in the order in which to try their targets: by priority, within one priority at random by weight. Pure but
 * for `random`.
 * Algorithm: https://www.rfc-editor.org/rfc/rfc2782, "Weight": the next one is the first whose running sum of weights
 * reaches a random number, those without weight standing in front.
 * @param random at least 0 and less than 1.
 */
export function orderSrv<R extends SrvRecord>(records: readonly R[], random: () => number): R[] {
  const left = records.toSorted((a, b) => a.priority - b.priority || a.weight - b.weight);
  const ordered: R[] = [];
  for (let first = left[0]; first !== undefined; first = left[0]) {
    const { priority } = first;
    const end = left.findIndex((record) => record.priority !== priority);
    const group = left.slice(0, end < 0 ? left.length : end);
    const index = pick(group, random);
    ordered.push(...left.splice(index, 1));
  }
  return ordered;
}

/** @param group those of weight 0 first. */
function pick(group: readonly SrvRecord[], random: () => number): number {
  const total = group.reduce((sum, { weight }) => sum + weight, 0);
  if (total === 0) return Math.floor(random() * group.length);
  const reach = Math.floor(random() * (total + 1));
  let sum = 0;
  return group.findIndex(({ weight }) => {
    sum += weight;
    return sum >= reach;
  });
}

/** A copy in random order. */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const left = [...items];
  return items.flatMap(() => left.splice(Math.floor(random() * left.length), 1));
}
