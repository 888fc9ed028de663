import type { HostAddress } from "./host-connections.ts";
import type { HostSession } from "./host-session.ts";

/** All sessions under which something may still be registered: the one in use, and those whose place it took. */
export interface HeldSessions {
  /** @param inUse is never dropped for the new one. */
  add(session: HostSession, inUse: HostSession | undefined, signal: AbortSignal): Promise<void>;
  addresses(): HostAddress[];
  /** Takes back what the other sessions hold. Never fails. */
  leaveOthers(own: HostSession, signal: AbortSignal): Promise<void>;
  /** Takes back all registrations, those of sessions to come included. Never fails. */
  withdraw(signal: AbortSignal): Promise<void>;
  /** Takes back everything. Never fails. */
  leave(signal: AbortSignal): Promise<void>;
}

/** Beyond that the oldest are left to expire at their hosts. */
const maxSessions = 8;

export function createHeldSessions(): HeldSessions {
  const sessions = new Set<HostSession>();
  let withdrawn = false;
  return {
    async add(session, inUse, signal) {
      sessions.add(session);
      const oldest = Array.from(sessions).find((other) => other !== inUse);
      if (sessions.size > maxSessions && oldest !== undefined) sessions.delete(oldest);
      if (withdrawn) await session.withdraw(signal);
    },
    addresses: () => Array.from(sessions, ({ address }) => address),
    async leaveOthers(own, signal) {
      for (const session of [...sessions]) {
        if (session === own) continue;
        // The same identity given once more: it is in use, and so may be what was registered under it.
        const same = session.runtimeId === own.runtimeId && session.address.hostUrl === own.address.hostUrl;
        if (!same) await session.leave(signal);
        if (signal.aborted) return;
        sessions.delete(session);
      }
    },
    async withdraw(signal) {
      withdrawn = true;
      await Promise.all(Array.from(sessions, (session) => session.withdraw(signal)));
    },
    async leave(signal) {
      await Promise.all(Array.from(sessions, (session) => session.leave(signal)));
      sessions.clear();
    },
  };
}
