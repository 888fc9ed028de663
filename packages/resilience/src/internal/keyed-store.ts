/** State by key, for keys that others choose: however many there are, no more than `maxKeys` are remembered. */
export interface KeyedStore<V> {
  /** Keys remembered now. */
  readonly size: number;
  /** The value of the key, made if there is none. Making one for a new key may make the store forget another. */
  get(key: string): V;
  /** As `get`, for those who want to save the look-up the next time. */
  entry(key: string): KeyedEntry<V>;
  /** The value of the key, if it is remembered. Does not count as use. */
  peek(key: string): V | undefined;
  entries(): IterableIterator<[key: string, value: V]>;
}

/** Where a value is. Who keeps it looks first whether it is `forgotten`, and sets `used` with every use. */
export interface KeyedEntry<V> {
  readonly value: V;
  used: boolean;
  forgotten: boolean;
}

export interface KeyedStoreOptions<V> {
  /** Most keys remembered. Whole number from 1. */
  readonly maxKeys: number;
  create(key: string): V;
  /** Whether the value is in the state in which `create` makes it, so that forgetting it changes nothing. */
  isIdle(value: V): boolean;
}

/** How many values are looked at to find one that may be forgotten: bounds the cost of a flood of new keys. */
const maxLooks = 64;

/**
 * A store that, when full, forgets one key for each new one. It looks at no more than 64, the least recently used first,
 * and forgets the first that is idle and was not used since it was last looked at; if there is none, the first idle one;
 * only if none is idle, the first that was not used; else the first. Those it looked at and kept move to the back, so
 * that the next look goes on from there.
 *
 * Algorithm: second chance (clock), an approximation of least recently used that costs a hit no more than a flag;
 * F. J. Corbató, A Paging Experiment with the Multics System, 1968.
 * @throws {RangeError} for a bad `maxKeys`.
 */
export function createKeyedStore<V>({ maxKeys, create, isIdle }: KeyedStoreOptions<V>): KeyedStore<V> {
  if (!Number.isInteger(maxKeys) || maxKeys < 1) {
    throw new RangeError(`maxKeys must be a whole number from 1, got ${maxKeys}`);
  }
  const entriesByKey = new Map<string, KeyedEntry<V>>();

  function forgetOne(): void {
    let looks = Math.min(maxLooks, entriesByKey.size);
    let victim: [key: string, entry: KeyedEntry<V>] | undefined;
    let victimRank = -1;
    for (const [key, entry] of entriesByKey) {
      if (looks-- === 0) break;
      const rank = (isIdle(entry.value) ? 2 : 0) + (entry.used ? 0 : 1);
      if (rank > victimRank) {
        victim = [key, entry];
        victimRank = rank;
      }
      if (rank === 3) break;
      entry.used = false;
      entriesByKey.delete(key);
      entriesByKey.set(key, entry);
    }
    if (victim === undefined) return;
    const [key, entry] = victim;
    entriesByKey.delete(key);
    entry.forgotten = true;
  }

  function entryOf(key: string): KeyedEntry<V> {
    const known = entriesByKey.get(key);
    if (known !== undefined) {
      known.used = true;
      return known;
    }
    const entry = { value: create(key), used: false, forgotten: false };
    if (entriesByKey.size >= maxKeys) forgetOne();
    entriesByKey.set(key, entry);
    return entry;
  }

  return {
    get size() {
      return entriesByKey.size;
    },
    get: (key) => entryOf(key).value,
    entry: entryOf,
    peek: (key) => entriesByKey.get(key)?.value,
    *entries() {
      for (const [key, { value }] of entriesByKey) yield [key, value];
    },
  };
}
