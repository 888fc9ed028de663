/** Providers that are kept from calls for one cause, by service type. Types without any are not kept. */
export interface Sidelined {
  count(type: string): number;
  has(type: string, providerId: string): boolean;
  /** In the order in which they were added. */
  of(type: string): Iterable<string>;
  /** True if it is the first of the type. */
  add(type: string, providerId: string): boolean;
  /** True if it was the last of the type. */
  delete(type: string, providerId: string): boolean;
}

export function createSidelined(): Sidelined {
  const byType = new Map<string, Set<string>>();
  return {
    count: (type) => byType.get(type)?.size ?? 0,
    has: (type, providerId) => byType.get(type)?.has(providerId) ?? false,
    of: (type) => byType.get(type) ?? [],
    add(type, providerId) {
      const ids = byType.get(type);
      if (ids === undefined) byType.set(type, new Set([providerId]));
      else ids.add(providerId);
      return ids === undefined;
    },
    delete(type, providerId) {
      const ids = byType.get(type);
      if (ids === undefined || !ids.delete(providerId) || ids.size > 0) return false;
      return byType.delete(type);
    },
  };
}
