import type { RegistryStore } from "../state/registry-store.ts";

/** Which provider took the place of which. */
export interface Successions {
  /** Who has the place of a provider now. Undefined: it has no successor, or that is gone. */
  heirOf(providerId: string): string | undefined;
  add(oldProviderId: string, newProviderId: string): void;
  close(): void;
}

const maxSuccessions = 4_096;

/**
 * Remembers successions until the last successor is removed; of too many, the newest. Those of a chain all lead to its
 * end at once.
 */
export function createSuccessions(store: Pick<RegistryStore, "onChange">): Successions {
  /** Oldest first. */
  const heirs = new Map<string, string>();
  const predecessors = new Map<string, Set<string>>();

  const forget = (old: string): void => {
    const heir = heirs.get(old);
    heirs.delete(old);
    if (heir === undefined) return;
    const others = predecessors.get(heir);
    others?.delete(old);
    if (others?.size === 0) predecessors.delete(heir);
  };
  const set = (old: string, heir: string): void => {
    forget(old);
    heirs.set(old, heir);
    const others = predecessors.get(heir);
    if (others === undefined) predecessors.set(heir, new Set([old]));
    else others.add(old);
  };
  const stop = store.onChange((change) => {
    if (change.type !== "provider-removed" || heirs.has(change.provider.id)) return;
    for (const old of [...(predecessors.get(change.provider.id) ?? [])]) forget(old);
  });

  return {
    heirOf: (providerId) => heirs.get(providerId),
    add(oldProviderId, newProviderId) {
      forget(newProviderId); // it has its place itself from now on
      for (const earlier of [...(predecessors.get(oldProviderId) ?? [])]) set(earlier, newProviderId);
      set(oldProviderId, newProviderId);
      const [oldest] = heirs.size > maxSuccessions ? heirs.keys() : [];
      if (oldest !== undefined) forget(oldest);
    },
    close() {
      stop();
      heirs.clear();
      predecessors.clear();
    },
  };
}
