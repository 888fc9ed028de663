import type { Clock } from "@cpg/resilience";
import { seededRandom } from "@cpg/resilience/testing";
import { type Next, response } from "../interceptors/no-op-call.ts";

export interface FakeBackends {
  /** Goes to the next backend each time, and waits on the clock as long as that one takes. */
  readonly call: Next;
  /** How many calls reached a backend. */
  readonly calls: number;
}

export interface BackendOptions {
  readonly clock: Clock;
  /** Seeds the backends, each of which then has numbers of its own. */
  readonly random: () => number;
  readonly count: number;
  /** A call takes this long, up to half of it more or less. In ms. */
  readonly usualMs: number;
  /** Share of the calls that take `slowdown` times as long. */
  readonly slowShare: number;
  readonly slowdown: number;
}

/** Backends in round robin that are slow now and then, each by a seeded sequence of its own. */
export function createFakeBackends(options: BackendOptions): FakeBackends {
  const { clock, random: seeds, count, usualMs, slowShare, slowdown } = options;
  const randoms = Array.from({ length: count }, () => seededRandom(seeds() * 2 ** 32));
  let calls = 0;
  return {
    get calls() {
      return calls;
    },
    async call({ signal }) {
      const random = randoms[calls++ % count];
      if (random === undefined) throw new RangeError(`count must be at least 1, got ${count}`);
      const latencyMs = usualMs * (0.5 + random());
      await clock.sleep(random() < slowShare ? latencyMs * slowdown : latencyMs, signal);
      return response;
    },
  };
}
