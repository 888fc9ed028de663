import { Code } from "@connectrpc/connect";
import type { RuntimeIdentity } from "@cpg/core";
import { retryLater } from "@cpg/resilience";

/** Decisions that plugins wait for, bounded for each. */
export interface PendingDecisions {
  /** @returns ends it. @throws {ConnectError} `resource_exhausted`, with a retry delay. */
  begin(identity: RuntimeIdentity): () => void;
}

/** One of them may be made at any time. */
const retryAfterMs = 1_000;

/** Keeps nothing of a plugin that waits for none. */
export function createPendingDecisions(max: number): PendingDecisions {
  const pending = new Map<RuntimeIdentity, number>();
  return {
    begin(identity) {
      const before = pending.get(identity) ?? 0;
      if (before >= max) {
        const message = `${identity.runtimeId} waits for ${max} decisions already`;
        throw retryLater(message, Code.ResourceExhausted, retryAfterMs);
      }
      pending.set(identity, before + 1);
      let isOver = false;
      return () => {
        if (isOver) return;
        isOver = true;
        const left = (pending.get(identity) ?? 1) - 1;
        if (left > 0) pending.set(identity, left);
        else pending.delete(identity);
      };
    },
  };
}
