import type { AuthContext } from "./auth-context.ts";

interface Entry {
  readonly auth: AuthContext;
  /** Wall clock ms. */
  readonly untilMs: number;
}

/** Tokens that have been verified, by the value of the header that they come in. */
export interface JwtCache {
  readonly size: number;
  get(value: string, nowMs: number): AuthContext | undefined;
  set(value: string, auth: AuthContext, untilMs: number): void;
}

/**
 * Bounded by number: when it is full, the token that came first goes. A hit writes nothing, which keeps it to one look at a
 * map; with the bound well above the number of callers that is as good as to know which was used last.
 */
export function createJwtCache(maxTokens: number): JwtCache {
  const entries = new Map<string, Entry>();
  return {
    get size() {
      return entries.size;
    },
    get(value, nowMs) {
      const entry = entries.get(value);
      if (entry === undefined) return undefined;
      if (nowMs < entry.untilMs) return entry.auth;
      entries.delete(value);
      return undefined;
    },
    set(value, auth, untilMs) {
      if (maxTokens === 0) return;
      if (entries.size >= maxTokens && !entries.has(value)) {
        for (const first of entries.keys()) {
          entries.delete(first);
          break;
        }
      }
      entries.set(value, { auth, untilMs });
    },
  };
}
