import type { Clock } from "@cpg/resilience";
import type { Registration } from "../state/registration.ts";
import type { RegistryStore } from "../state/registry-store.ts";

/** Ends registrations whose lease has run out. */
export interface LeaseKeeper {
  /** The registration was made, or made again: its lease, if it has one, begins anew. */
  renew(registration: Registration): void;
  /** Ends no more leases. Idempotent. */
  close(): void;
}

interface Lease {
  dueMs: number;
  readonly timer: AbortController;
}

/** @param onError hears of a clock that fails. */
export function createLeaseKeeper(store: RegistryStore, clock: Clock, onError: (error: unknown) => void): LeaseKeeper {
  /** By registration id. */
  const leases = new Map<string, Lease>();

  const stop = (id: string): void => {
    leases.get(id)?.timer.abort("the lease is over");
    leases.delete(id);
  };
  /** Sleeps until the lease is due, and again if it was renewed meanwhile. */
  const keep = async (id: string, lease: Lease): Promise<void> => {
    try {
      for (let leftMs = lease.dueMs - clock.monotonic(); leftMs > 0; leftMs = lease.dueMs - clock.monotonic()) {
        await clock.sleep(leftMs, lease.timer.signal);
      }
    } catch (error) {
      if (!lease.timer.signal.aborted) onError(error);
      return;
    }
    // It may have got another lease, or lost it, in the moment in which this one ran out.
    if (leases.get(id) === lease) store.unregister(id, "lease-ended");
  };
  const forgetChanges = store.onChange((change) => {
    if (change.type === "unregistered") stop(change.registration.id);
  });

  return {
    renew({ id, leaseMs }) {
      if (leaseMs === undefined) return stop(id);
      const dueMs = clock.monotonic() + leaseMs;
      const known = leases.get(id);
      if (known !== undefined && dueMs >= known.dueMs) {
        known.dueMs = dueMs;
        return;
      }
      stop(id);
      const lease: Lease = { dueMs, timer: new AbortController() };
      leases.set(id, lease);
      void keep(id, lease);
    },
    close() {
      forgetChanges();
      for (const id of [...leases.keys()]) stop(id);
    },
  };
}
