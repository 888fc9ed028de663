import { callListener } from "../internal/call-listener.ts";
import type { LinkIdentity } from "./host-link-options.ts";

/** Tells listeners each change of the plugin's identity once. */
export interface IdentityAnnouncer {
  /** Does nothing unless it differs from what was told last. */
  tell(identity: LinkIdentity | undefined): void;
  /** Returns how to stop. */
  onChange(listener: (identity: LinkIdentity | undefined) => void): () => void;
  /** Drops all listeners. */
  forget(): void;
}

/** @param onError hears what a listener throws. */
export function createIdentityAnnouncer(onError: (error: unknown) => void): IdentityAnnouncer {
  const listeners = new Set<(identity: LinkIdentity | undefined) => void>();
  let told: LinkIdentity | undefined;
  return {
    tell(identity) {
      if (identity?.runtimeId === told?.runtimeId && identity?.hostUrl === told?.hostUrl) return;
      told = identity;
      for (const listener of [...listeners]) callListener(() => listener(identity), onError);
    },
    onChange(listener) {
      // A wrapper, so that one function added twice is two listeners.
      const own = (identity: LinkIdentity | undefined) => listener(identity);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    forget: () => listeners.clear(),
  };
}
