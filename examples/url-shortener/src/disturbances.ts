import type { PlatformEvent } from "@cpg/registry";
import type { Clock } from "@cpg/resilience";
import type { PluginName, ShortenerPlatform } from "./shortener-platform.ts";

/** replace: no call may fail. restart: orderly, but nobody is there for a moment. kill: SIGKILL to the process. */
export type DisturbanceKind = "replace" | "restart" | "kill";

export interface DisturbanceOptions {
  readonly scene: ShortenerPlatform;
  readonly clock: Clock;
  /** At least 0 and less than 1. */
  readonly random: () => number;
  /** Begins no further one. */
  readonly signal: AbortSignal;
}

export interface Disturbances {
  /** How many there were of each kind. */
  readonly counts: Readonly<Record<DisturbanceKind, number>>;
  /** Whether a plugin may have been away at some time since then (monotonic ms): the only excuse of a call that fails. */
  awaySince(sinceMs: number): boolean;
  /** Whether one was killed at some time since then: an answer that it had begun may have been cut. */
  killedSince(sinceMs: number): boolean;
  /** Resolves when the last one is over. Rejects when one failed: then something is wrong. */
  readonly done: Promise<void>;
}

const kinds = ["replace", "restart", "kill"] as const;
const names = ["logger", "storage", "api"] as const;
const shortestPauseMs = 200;
const longestPauseMs = 2_000;
const backWithinMs = 60_000;

/** Does something to some plugin, again and again, each time once the one before is over. */
export function disturb({ scene, clock, random, signal }: DisturbanceOptions): Disturbances {
  const { platform, plugin } = scene;
  const counts = { replace: 0, restart: 0, kill: 0 };
  let away = 0;
  let lastAwayMs = Number.NEGATIVE_INFINITY;
  let lastKillMs = Number.NEGATIVE_INFINITY;

  const whileAway = async (work: () => Promise<void>): Promise<void> => {
    away++;
    try {
      await work();
    } finally {
      away--;
      lastAwayMs = clock.monotonic();
    }
  };
  const kill = async (name: PluginName): Promise<void> => {
    const pid = platform.plugins().find(({ id }) => id === name)?.pid;
    if (pid === undefined) throw new Error(`${name} has no process`);
    const back = Promise.withResolvers<void>();
    let wasAway = false;
    const forget = platform.onEvent((event: PlatformEvent) => {
      if (event.type !== "state" || event.plugin !== name) return;
      wasAway ||= event.state === "waiting";
      if (wasAway && event.state === "running") back.resolve();
    });
    const inTime = new AbortController();
    clock.sleep(backWithinMs, inTime.signal).then(
      () => back.reject(new Error(`${name} did not come back within ${backWithinMs} ms`)),
      () => {}, // it did
    );
    lastKillMs = clock.monotonic();
    process.kill(pid, "SIGKILL");
    try {
      await back.promise;
    } finally {
      inTime.abort("it is back");
      forget();
    }
  };
  const pick = <T>(of: readonly [T, ...T[]]): T => of[Math.floor(random() * of.length)] ?? of[0];

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      const kind = pick(kinds);
      const name = pick(names);
      counts[kind]++;
      if (kind === "replace") await platform.replace(name, plugin(name));
      else if (kind === "restart") await whileAway(() => platform.restart(name));
      else await whileAway(() => kill(name));
      const pauseMs = shortestPauseMs + random() * (longestPauseMs - shortestPauseMs);
      await clock.sleep(pauseMs, signal).catch(() => {}); // enough
    }
  };
  return {
    counts,
    awaySince: (sinceMs) => away > 0 || lastAwayMs >= sinceMs,
    killedSince: (sinceMs) => lastKillMs >= sinceMs,
    done: run(),
  };
}
