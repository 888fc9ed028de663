import { Code } from "@connectrpc/connect";
import { retryLater } from "@cpg/resilience";

/** One call that registers, from its beginning to its end. */
export interface RegisterTurn {
  /**
   * Whether the call may take effect now. Not when one that began later has, or what was registered has been taken back
   * since. Asked once.
   */
  takeEffect(): boolean;
  /** The call is over. */
  end(): void;
}

/** Keeps calls that register the same service of the same provider in the order in which they began. */
export interface RegisterOrder {
  /** @throws {ConnectError} `resource_exhausted` when a provider has too many under way. */
  begin(providerId: string, type: string): RegisterTurn;
  /** The service was unregistered: what began before that takes no effect any more. */
  takenBack(providerId: string, type: string): void;
}

interface Pending {
  begun: number;
  effective: number;
  open: number;
}

const maxOpen = 100;
const retryAfterMs = 1_000;

/** Settling where a provider is takes time, so calls may get there in another order than that in which they came. */
export function createRegisterOrder(): RegisterOrder {
  const providers = new Map<string, Map<string, Pending>>();
  return {
    begin(providerId, type) {
      const types = providers.get(providerId) ?? new Map<string, Pending>();
      let open = 0;
      for (const pending of types.values()) open += pending.open;
      if (open >= maxOpen) {
        throw retryLater(`one plugin can register ${maxOpen} services at a time`, Code.ResourceExhausted, retryAfterMs);
      }
      const pending = types.get(type) ?? { begun: 0, effective: 0, open: 0 };
      providers.set(providerId, types.set(type, pending));
      const turn = ++pending.begun;
      pending.open++;
      return {
        takeEffect() {
          if (turn <= pending.effective) return false;
          pending.effective = turn;
          return true;
        },
        end() {
          pending.open--;
          if (pending.open > 0) return;
          types.delete(type);
          if (types.size === 0) providers.delete(providerId);
        },
      };
    },
    takenBack(providerId, type) {
      const pending = providers.get(providerId)?.get(type);
      if (pending !== undefined) pending.effective = pending.begun;
    },
  };
}
