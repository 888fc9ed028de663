/**
 * A map with text keys that is never modified: a change makes another map, which shares with the old one all that did
 * not change. Plain data; `lookUp`, `withEntry`, `withoutEntry` and `valuesOf` are how to use it.
 *
 * Two levels of 32 branches, then short lists: a lookup costs about as much as hashing its key, a change copies some 100
 * pointers. Made for up to some 100 000 entries; beyond that it is right, and slower.
 */
export interface PersistentMap<V> {
  readonly size: number;
  readonly pages: Branch<Branch<Bucket<V>>>;
}

type Branch<T> = readonly (T | undefined)[];
type Bucket<V> = readonly Entry<V>[];
interface Entry<V> {
  readonly key: string;
  readonly value: V;
}

const branches = 32;

export function emptyMap<V>(): PersistentMap<V> {
  return { size: 0, pages: [] };
}

export function lookUp<V>(map: PersistentMap<V>, key: string): V | undefined {
  const hash = hashOf(key);
  const bucket = map.pages[upper(hash)]?.[lower(hash)];
  if (bucket === undefined) return undefined;
  for (const entry of bucket) if (entry.key === key) return entry.value;
  return undefined;
}

export function withEntry<V>(map: PersistentMap<V>, key: string, value: V): PersistentMap<V> {
  return withBucket(map, key, (bucket) => {
    const index = bucket.findIndex((entry) => entry.key === key);
    return index < 0 ? [...bucket, { key, value }] : bucket.with(index, { key, value });
  });
}

/** The same map when it has no such entry. */
export function withoutEntry<V>(map: PersistentMap<V>, key: string): PersistentMap<V> {
  if (lookUp(map, key) === undefined) return map;
  return withBucket(map, key, (bucket) => bucket.filter((entry) => entry.key !== key));
}

/** In no order that means anything. */
export function* valuesOf<V>(map: PersistentMap<V>): Generator<V, void, void> {
  for (const page of map.pages) for (const bucket of page ?? []) for (const { value } of bucket ?? []) yield value;
}

function withBucket<V>(
  { size, pages }: PersistentMap<V>,
  key: string,
  change: (bucket: Bucket<V>) => Bucket<V>,
): PersistentMap<V> {
  const hash = hashOf(key);
  const page = pages[upper(hash)] ?? [];
  const bucket = page[lower(hash)] ?? [];
  const changed = change(bucket);
  return {
    size: size + changed.length - bucket.length,
    pages: withSlot(pages, upper(hash), withSlot(page, lower(hash), changed.length === 0 ? undefined : changed)),
  };
}

function withSlot<T>(branch: Branch<T>, index: number, value: T | undefined): Branch<T> {
  const copy = branch.length === 0 ? new Array<T | undefined>(branches).fill(undefined) : [...branch];
  copy[index] = value;
  return copy;
}

/** FNV-1a over the UTF-16 units, http://www.isthe.com/chongo/tech/comp/fnv/. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  return hash ^ (hash >>> 15);
}

function upper(hash: number): number {
  return (hash >>> 5) % branches;
}

function lower(hash: number): number {
  return (hash >>> 0) % branches;
}
