/** For `it.each` with "%s": whole titles, as those that vitest takes out of an object are cut. */
export function titled<Item extends { readonly title: string }>(items: readonly Item[]): [string, Item][] {
  return items.map((item) => [item.title, item]);
}
