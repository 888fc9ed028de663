import { within } from "@cpg/core/extension";
import type { Clock } from "@cpg/resilience";
import type { Upstream } from "../router/upstream.ts";
import type { Probe, ProbeConnection, ProbeResult } from "./probe.ts";
import type { ProbeTurns } from "./probe-turns.ts";

export interface ProbeLoopOptions {
  readonly probe: Probe;
  /** Where the provider is now; undefined when it is gone. */
  readonly upstream: () => Upstream | undefined;
  /** Called when a probe begins; what it returns hears the result. */
  readonly begin: () => (result: ProbeResult) => void;
  readonly turns: ProbeTurns;
  readonly graceMs: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onError: (error: unknown) => void;
}

/** Asks one provider again and again. */
export interface ProbeLoop {
  /** The next probe begins now, but not more than once per interval. */
  hurry(): void;
  /** Ends the probe that is under way, without a result; resolves when all is closed. Idempotent. */
  end(): Promise<void>;
}

/** Largest part of the interval by which it is longer or shorter: providers that began together do not stay together. */
const jitter = 0.1;

export function startProbeLoop(options: ProbeLoopOptions): ProbeLoop {
  const { probe, upstream, begin, turns, graceMs, intervalMs, timeoutMs, clock, random, onError } = options;
  const ended = new AbortController();
  const closings = new Set<Promise<void>>();
  let connection: { readonly to: Upstream; readonly calls: ProbeConnection } | undefined;
  let pausing: AbortController | undefined;
  let hurried = false;
  let hurriedAtMs = Number.NEGATIVE_INFINITY;

  const drop = (): void => {
    const closing = connection?.calls.close().catch(onError);
    connection = undefined;
    if (closing === undefined) return;
    closings.add(closing);
    void closing.then(() => closings.delete(closing));
  };

  const connectionTo = (to: Upstream): ProbeConnection => {
    if (connection?.to !== to) drop();
    connection ??= { to, calls: probe.open(to) };
    return connection.calls;
  };

  /** @throws when the loop has ended. */
  const ask = async (to: Upstream): Promise<ProbeResult> => {
    const startedMs = clock.monotonic();
    let timedOut = false;
    const onTimeout = (): Error => {
      timedOut = true;
      return new Error("no answer in time");
    };
    try {
      const calls = connectionTo(to);
      return await within(clock, timeoutMs, (signal) => calls.ask(signal), onTimeout, ended.signal);
    } catch (reason) {
      ended.signal.throwIfAborted();
      if (!timedOut) {
        onError(reason);
        return { kind: "inconclusive" };
      }
      // This process was held up itself, and could not have seen an answer.
      const late = clock.monotonic() - startedMs > 2 * timeoutMs;
      return { kind: late ? "inconclusive" : "timed-out" };
    }
  };

  const askInTurn = async (): Promise<void> => {
    const endTurn = await turns.take(ended.signal);
    try {
      const to = upstream();
      if (to === undefined) return;
      const tell = begin();
      const result = await ask(to);
      ended.signal.throwIfAborted();
      if (result.kind !== "answered") drop(); // the next one begins anew
      tell(result);
    } finally {
      endTurn();
    }
  };

  const pause = async (ms: number): Promise<void> => {
    if (!hurried) {
      const timer = new AbortController();
      pausing = timer;
      try {
        await clock.sleep(ms, timer.signal);
      } catch (reason) {
        if (!timer.signal.aborted) throw reason;
      } finally {
        pausing = undefined;
      }
    }
    hurried = false;
  };

  const run = async (): Promise<void> => {
    await pause(graceMs + jitter * intervalMs * random());
    while (!ended.signal.aborted) {
      const startedMs = clock.monotonic();
      await askInTurn();
      const untilMs = startedMs + intervalMs * (1 - jitter + 2 * jitter * random());
      if (!ended.signal.aborted) await pause(untilMs - clock.monotonic());
    }
  };
  const running = run().catch((reason: unknown) => {
    if (!ended.signal.aborted) onError(reason);
  });

  return {
    hurry() {
      const nowMs = clock.monotonic();
      if (nowMs - hurriedAtMs < intervalMs) return;
      hurriedAtMs = nowMs;
      hurried = true;
      pausing?.abort("the next probe begins now");
    },
    async end() {
      ended.abort("the provider is not followed any more");
      pausing?.abort("the provider is not followed any more");
      drop();
      await running;
      drop();
      await Promise.all(closings);
    },
  };
}
