import type { Clock } from "@cpg/resilience";
import type { HealthReporter } from "../health/health-reporter.ts";
import type { Alarm } from "../internal/alarm.ts";
import type { HostDoubts } from "./host-doubts.ts";
import type { HostSession } from "./host-session.ts";

export interface KeepAliveOptions {
  readonly health: HealthReporter;
  readonly heartbeatMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  /** Rings when the health changes, the identity is in doubt, or a connection was lost. */
  readonly alarm: Alarm;
  readonly doubts: HostDoubts;
  /** The host has shown that it is there and knows the identity. */
  onBeat(): void;
  /** Time until what the host refused is offered again, in ms. */
  refusedDelayMs(): number;
}

/** Least time between two signs of life, whatever gives occasion to them. */
const minBeatMs = 1_000;
/** The same when the identity lives so shortly that this is needed. */
const minRenewalMs = 100;

/**
 * Keeps one session alive until its identity has to be replaced, which is when it resolves: tells the host each change
 * of health (the latest only, one call at a time), offers again what the host refused, and gives signs of life; one at once
 * when a connection was lost.
 * @throws {ConnectError} of the call that failed. The reason of `signal`.
 */
export async function keepAlive(session: HostSession, options: KeepAliveOptions, signal: AbortSignal): Promise<void> {
  const { health, heartbeatMs, clock, random, alarm, doubts, refusedDelayMs } = options;
  /** Shorter than the interval by up to a fifth, so that plugins started together do not stay together. */
  const nextInterval = (): number => {
    const longestMs = session.renewable ? Math.min(heartbeatMs, session.ttlMs / 2) : heartbeatMs;
    return Math.max(minRenewalMs, longestMs * (1 - random() / 5));
  };
  const nextOffer = (): number =>
    session.incomplete ? clock.monotonic() + refusedDelayMs() : Number.POSITIVE_INFINITY;

  let beatMs = clock.monotonic();
  let nextBeatMs = beatMs + nextInterval();
  let nextOfferMs = nextOffer();
  /** A host that closes connections for no reason is not asked in a loop. */
  let nextLookMs = beatMs;
  while (true) {
    // Only a host that can tell is asked early.
    const doubtMs = doubts.isRefused && session.renewable ? beatMs + minBeatMs : Number.POSITIVE_INFINITY;
    const lookMs = doubts.isLost ? nextLookMs : Number.POSITIVE_INFINITY;
    const dueMs = Math.min(nextBeatMs, doubtMs, lookMs);
    const waitMs = Math.min(dueMs, nextOfferMs, session.refreshAtMs) - clock.monotonic();
    if (session.reported === health.report() && waitMs > 0) await alarm.wait(waitMs, signal);
    if (session.reported !== health.report()) await session.reportHealth(health.report(), signal);
    if (clock.monotonic() >= session.refreshAtMs) return;
    if (clock.monotonic() >= nextOfferMs) {
      await session.register(signal);
      nextOfferMs = nextOffer();
    }
    if (clock.monotonic() >= dueMs) {
      if (doubts.isLost) nextLookMs = clock.monotonic() + minBeatMs;
      doubts.asked();
      await session.beat(health.report(), doubts.isRefused, signal);
      doubts.settled();
      options.onBeat();
      beatMs = clock.monotonic();
      nextBeatMs = beatMs + nextInterval();
    }
  }
}
