/** Sets by key; none of them is empty. */
export function addTo<K, T>(index: Map<K, Set<T>>, key: K, item: T): void {
  const known = index.get(key);
  if (known === undefined) index.set(key, new Set([item]));
  else known.add(item);
}

export function removeFrom<K, T>(index: Map<K, Set<T>>, key: K, item: T): void {
  const known = index.get(key);
  known?.delete(item);
  if (known?.size === 0) index.delete(key);
}
