import { backoffDelay, type Clock, resolveBackoffOptions } from "@cpg/resilience";

/** What is known of the endpoints that were tried. */
export interface EndpointRecords {
  /** The one that worked last. */
  readonly favourite: string | undefined;
  /** Those that have failed since they last worked. */
  readonly failures: ReadonlyMap<string, EndpointFailure>;
}

interface EndpointFailure {
  /** In a row. */
  readonly count: number;
  /** Until then others come first; on the monotonic clock. */
  readonly untilMs: number;
}

/**
 * The endpoints in the order in which to try them. First those that did not fail lately, the one that worked last before
 * all others, else as listed; then those that did, the one whose time is up soonest first. None is left out: with
 * nothing better to try, waiting would only be slower. Pure.
 */
export function orderEndpoints(endpoints: readonly string[], records: EndpointRecords, nowMs: number): string[] {
  const untilMs = (endpoint: string): number => Math.max(nowMs, records.failures.get(endpoint)?.untilMs ?? nowMs);
  const isFavourite = (endpoint: string): number => Number(endpoint === records.favourite);
  return endpoints.toSorted((a, b) => untilMs(a) - untilMs(b) || isFavourite(b) - isFavourite(a));
}

/** Remembers how endpoints did, to choose among them. */
export interface EndpointRotation {
  /** See `orderEndpoints`. Forgets endpoints that are not listed. */
  order(endpoints: readonly string[]): string[];
  worked(endpoint: string): void;
  /** It comes last for a while, longer with each failure in a row. */
  failed(endpoint: string): void;
}

/** How long others come first after failures of an endpoint. */
const penalty = resolveBackoffOptions({ initialMs: 1_000, maxMs: 60_000, jitter: "equal" });

export function createEndpointRotation(clock: Clock, random: () => number): EndpointRotation {
  const failures = new Map<string, EndpointFailure>();
  let favourite: string | undefined;
  return {
    order(endpoints) {
      for (const endpoint of failures.keys()) {
        if (!endpoints.includes(endpoint)) failures.delete(endpoint);
      }
      return orderEndpoints(endpoints, { favourite, failures }, clock.monotonic());
    },
    worked(endpoint) {
      failures.delete(endpoint);
      favourite = endpoint;
    },
    failed(endpoint) {
      const attempt = failures.get(endpoint)?.count ?? 0;
      const delayMs = backoffDelay(penalty, { attempt, previousMs: penalty.initialMs, random: random() });
      failures.set(endpoint, { count: attempt + 1, untilMs: clock.monotonic() + delayMs });
    },
  };
}
