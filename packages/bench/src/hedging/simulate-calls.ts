import assert from "node:assert/strict";
import type { Interceptor } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import { FakeClock, seededRandom } from "@cpg/resilience/testing";
import { applyInterceptors, request, response } from "../interceptors/no-op-call.ts";
import { createFakeBackends } from "./fake-backends.ts";

export interface SimulatedCalls {
  /** 99 of 100 calls took at most that long. */
  readonly p99Ms: number;
  /** Calls that reached a backend, for each call that was made. */
  readonly load: number;
}

/** What interceptors get instead of the time and the chance of this machine. */
export interface Simulation {
  readonly clock: Clock;
  readonly random: () => number;
}

/** Time from one call to the next. They do not wait for each other. */
const intervalMs = 2;

/**
 * Makes calls to three backends in round robin, of which 3 % take 20 times as long, on a clock of its own: no time passes
 * here.
 * @throws {Error} when a call fails, gets another response, or leaves a timer behind.
 */
export async function simulateCalls(
  calls: number,
  seed: number,
  createInterceptors: (simulation: Simulation) => readonly Interceptor[],
): Promise<SimulatedCalls> {
  const clock = new FakeClock();
  const random = seededRandom(seed);
  const backends = createFakeBackends({
    clock,
    random,
    count: 3,
    usualMs: 10,
    slowShare: 0.03,
    slowdown: 20,
  });
  const interceptors = createInterceptors({ clock, random });
  const latencies: number[] = [];
  let failure: { readonly reason: unknown } | undefined;
  const callOnce = async () => {
    const startMs = clock.monotonic();
    const answer = await applyInterceptors(backends.call, interceptors)(request);
    assert.equal(answer, response, "another response came back");
    latencies.push(clock.monotonic() - startMs);
  };
  for (let call = 0; call < calls; call++) {
    callOnce().catch((reason: unknown) => {
      failure ??= { reason };
    });
    await clock.advance(intervalMs);
  }
  for (let dueMs = clock.nextDueMs; dueMs !== undefined && latencies.length < calls; dueMs = clock.nextDueMs) {
    await clock.advance(dueMs);
  }
  if (failure !== undefined) throw failure.reason;
  assert.equal(latencies.length, calls, "not every call has ended");
  assert.equal(clock.pending, 0, "a timer was left behind");
  return { p99Ms: percentile(latencies, 0.99), load: backends.calls / calls };
}

/** Nearest rank: the least figure that the share of all figures does not exceed. */
function percentile(figures: readonly number[], share: number): number {
  const sorted = figures.toSorted((a, b) => a - b);
  return sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
}
