import type { ConnectError } from "@connectrpc/connect";
import type { Clock, Peer } from "@cpg/resilience";
import { type IdentityState, issued } from "./identity-state.ts";
import type { DeclaredServices, RuntimeIdentity } from "./runtime-identity.ts";

/** What the registry keeps of one identity. */
export interface IdentityRecord {
  readonly identity: RuntimeIdentity;
  readonly tokenHash: Buffer;
  state: IdentityState;
  /** Wall clock. */
  expiresAtMs: number;
  /** Aborts the signal and calls the listeners of the identity, each inside `guard`. */
  end(error: ConnectError, guard: (call: () => unknown) => void): void;
}

interface RecordFacts {
  readonly runtimeId: string;
  readonly selfId: string;
  readonly selfVersion: string;
  readonly peer: Peer | undefined;
  readonly declares: DeclaredServices | undefined;
  readonly tokenHash: Buffer;
  readonly ttlMs: number;
  readonly clock: Clock;
}

export function createIdentityRecord(facts: RecordFacts): IdentityRecord {
  const { runtimeId, selfId, selfVersion, peer, declares, tokenHash, ttlMs, clock } = facts;
  const issuedAtMs = clock.now();
  const listeners = new Set<(error: ConnectError) => void>();
  let controller: AbortController | undefined;
  let endedWith: ConnectError | undefined;

  const record: IdentityRecord = {
    tokenHash,
    state: issued(clock.monotonic(), ttlMs),
    expiresAtMs: issuedAtMs + ttlMs,
    identity: {
      id: runtimeId,
      source: "runtime-identity",
      runtimeId,
      selfId,
      selfVersion,
      issuedAtMs,
      peer,
      declares,
      get expiresAtMs() {
        return record.expiresAtMs;
      },
      get ended() {
        if (controller === undefined) {
          controller = new AbortController();
          if (endedWith !== undefined) controller.abort(endedWith);
        }
        return controller.signal;
      },
      onEnd(listener) {
        if (endedWith !== undefined) {
          listener(endedWith);
          return () => {};
        }
        const own = (error: ConnectError): void => listener(error);
        listeners.add(own);
        return () => void listeners.delete(own);
      },
    },
    end(error, guard) {
      endedWith = error;
      controller?.abort(error);
      for (const listener of [...listeners]) guard(() => listener(error));
      listeners.clear();
    },
  };
  return record;
}
