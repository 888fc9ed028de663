import type { RuntimeIdentity } from "@cpg/core";
import { callListener, within } from "@cpg/core/extension";
import type { Clock } from "@cpg/resilience";
import { askPolicy } from "./ask-policy.ts";
import type { CapabilityName, CapabilityPolicy } from "./capability-policy.ts";
import { createPendingDecisions } from "./pending-decisions.ts";

/** Where grants are asked for. Both reject with `permission_denied`, or `resource_exhausted` of one who asks too often. */
export interface PolicyDesk {
  allow(question: PolicyCase): Promise<void>;
  allowDerived(question: PolicyCase & { readonly holder: RuntimeIdentity }): Promise<void>;
}

export interface PolicyCase {
  /** Who is to get it. */
  readonly identity: RuntimeIdentity;
  readonly capability: CapabilityName;
  readonly reason: string;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

export interface PolicyDeskOptions {
  readonly policy: CapabilityPolicy;
  readonly timeoutMs: number;
  /** Decisions that one plugin may wait for at a time. */
  readonly maxPending: number;
  readonly clock: Clock;
  /** Hears what the policy throws. */
  onError(error: unknown): void;
}

export function createPolicyDesk(options: PolicyDeskOptions): PolicyDesk {
  const { policy, timeoutMs, maxPending, clock, onError } = options;
  const pending = createPendingDecisions(maxPending);

  /** Within the bound on one decision; never rejects. */
  const settled = async (asked: Promise<unknown>): Promise<void> => {
    await within(
      clock,
      timeoutMs,
      () => asked,
      () => new Error("no answer"),
    ).catch(() => {});
  };
  const settle = async (
    waiting: RuntimeIdentity,
    signal: AbortSignal,
    ask: (signal: AbortSignal) => unknown,
  ): Promise<void> => {
    const end = pending.begin(waiting);
    let asked: Promise<unknown> | undefined;
    const askOnce = (asking: AbortSignal): Promise<unknown> => {
      asked = (async () => await ask(asking))();
      return asked;
    };
    try {
      const answer = await askPolicy({ clock, timeoutMs, signal, ask: askOnce });
      if (answer.allowed) return;
      const { error, failure } = answer;
      if (failure !== undefined)
        callListener(
          () => onError(failure),
          () => {},
        );
      throw error;
    } finally {
      // Who leaves and asks again would have the policy work on any number of decisions: it works on this one still.
      if (signal.aborted && asked !== undefined) void settled(asked).then(end);
      else end();
    }
  };
  return {
    allow: ({ identity, capability, reason, signal }) =>
      settle(identity, signal, (asking) => policy.allow(identity, nameOf(capability), reason, asking)),
    async allowDerived({ identity, capability, reason, signal, holder }) {
      if (policy.allowDerived === undefined) return;
      await settle(holder, signal, (asking) =>
        policy.allowDerived?.(identity, nameOf(capability), reason, asking, holder),
      );
    },
  };
}

function nameOf({ type, version }: CapabilityName): CapabilityName {
  return { type, version };
}
