import type { Clock } from "@cpg/resilience";
import type { RegistryStore } from "../state/registry-store.ts";

/** Watches what a plugin registers itself. */
export interface OwnRegistrations {
  /** Whether the plugin has registered the type, even if it has taken that back since. */
  has(type: string): boolean;
  /** Resolves when the plugin has registered all of these types, or the time is over. Rejects with the signal's reason. */
  wait(types: readonly string[], ms: number, signal: AbortSignal): Promise<void>;
  stop(): void;
}

export function watchOwnRegistrations(store: RegistryStore, runtimeId: string, clock: Clock): OwnRegistrations {
  const seen = new Set(store.ofProvider(runtimeId).map(({ type }) => type));
  let onSeen = (): void => {};
  const stop = store.onChange((change) => {
    if (change.type !== "registered" && change.type !== "updated") return;
    if (change.registration.providerId !== runtimeId) return;
    seen.add(change.registration.type);
    onSeen();
  });
  return {
    has: (type) => seen.has(type),
    async wait(types, ms, signal) {
      signal.throwIfAborted();
      const done = new AbortController();
      onSeen = () => {
        if (types.every((type) => seen.has(type))) done.abort("all are there");
      };
      onSeen();
      try {
        await clock.sleep(ms, AbortSignal.any([done.signal, signal]));
      } catch (reason) {
        if (!done.signal.aborted) throw reason;
      } finally {
        onSeen = () => {};
      }
    },
    stop,
  };
}
