import type { IdentityRegistry, RuntimeIdentity } from "@cpg/core";
import { callListener } from "@cpg/core/extension";
import { type Clock, systemClock } from "@cpg/resilience";
import { cryptoRandom } from "../selection/crypto-random.ts";
import type { RegistryStore, RevisedChange } from "../state/registry-store.ts";
import { combinedHealth, isWorse } from "./combined-health.ts";
import { createEjectionJudge } from "./ejection-judge.ts";
import type { HealthEvent } from "./health-event.ts";
import type { HealthMonitor, HealthReport } from "./health-monitor.ts";
import { type HealthOptions, resolveHealthOptions } from "./health-options.ts";
import { createHealthRecord, type HealthRecord } from "./health-record.ts";
import { createKeptReports } from "./kept-reports.ts";
import { isGone } from "./liveness.ts";
import { createLivenessJudge, typesOf } from "./liveness-judge.ts";
import type { Probe, ProbeResult } from "./probe.ts";
import { type ProbeLoop, startProbeLoop } from "./probe-loop.ts";
import { createProbeTurns } from "./probe-turns.ts";

export interface HealthMonitorDeps {
  readonly store: RegistryStore;
  /** Of the plugins behind the providers. Without it nothing is known of tokens that expire. */
  readonly identities?: FollowedIdentities | undefined;
  readonly probe: Probe;
  readonly options?: HealthOptions | undefined;
  readonly clock?: Clock | undefined;
  /** At least 0 and less than 1. Default: from node:crypto. */
  readonly random?: (() => number) | undefined;
  /** What it throws goes to `onError`. Default: nobody. */
  readonly onEvent?: ((event: HealthEvent) => unknown) | undefined;
  /** Hears of errors that nobody else gets to see. Default: nobody. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** What a monitor looks at of an IdentityRegistry. */
export interface FollowedIdentities {
  /** Undefined: it is not live. */
  get(runtimeId: string): object | undefined;
  onEnd(listener: (identity: Pick<RuntimeIdentity, "runtimeId">, reason: IdentityEnd) => void): () => void;
}

type IdentityEnd = Parameters<Parameters<IdentityRegistry["onEnd"]>[0]>[1];

/** Memory for reports of plugins that have not registered yet: a report is of a few KiB at most. */
const maxKeptReports = 1_000;

interface Followed extends HealthRecord {
  readonly loop: ProbeLoop;
  /** Ends the wait for the end of its ejection. */
  ejectionTimer: AbortController | undefined;
}

/**
 * Follows every provider of the registry from its registration to its removal: takes its reports, asks it again and
 * again, and hears of the calls to it. One that is proven dead, or silent for too long, stays registered and hidden, and is
 * back with its first good probe; only if its token has expired it is removed. A provider is asked at the upstream of its
 * oldest registration that says where it listens.
 * @throws {RangeError} naming the option.
 */
export function createHealthMonitor(deps: HealthMonitorDeps): HealthMonitor {
  const { store, identities, probe, clock = systemClock, random = cryptoRandom } = deps;
  const { onEvent = () => {}, onError = () => {} } = deps;
  const rules = resolveHealthOptions(deps.options);
  const turns = createProbeTurns(rules.maxProbes);
  const kept = createKeptReports(maxKeptReports);
  const followed = new Map<string, Followed>();
  const ending = new Set<Promise<void>>();
  let closed = false;

  const tell = (event: HealthEvent): void => callListener(() => onEvent(event), onError);
  const publish = ({ id, facts }: HealthRecord): void => void store.setHealth(id, combinedHealth(facts));

  const liveness = createLivenessJudge({ store, rules, tell });
  const ejection = createEjectionJudge({
    store,
    rules,
    tell,
    record: (id) => followed.get(id),
    changed(record, untilMs) {
      const own = followed.get(record.id);
      own?.ejectionTimer?.abort("the ejection is over");
      if (own !== undefined) own.ejectionTimer = untilMs === undefined ? undefined : waitUntil(own, untilMs);
      publish(record);
    },
  });

  const waitUntil = (record: Followed, untilMs: number): AbortController => {
    const timer = new AbortController();
    clock.sleep(untilMs - clock.monotonic(), timer.signal).then(
      () => ejection.timeUp(record, clock.monotonic()),
      (reason: unknown) => {
        if (!timer.signal.aborted) onError(reason);
      },
    );
    return timer;
  };

  const probed = (record: Followed, result: ProbeResult, deathsBefore: number): void => {
    if (result.kind === "inconclusive") return;
    if (result.kind === "answered") {
      if (record.deaths !== deathsBefore) return; // a call has proven its death meanwhile
      record.facts = { ...record.facts, opinion: result.opinion };
    }
    liveness.sign(record, result.kind, "probe");
    publish(record);
    removeExpired(record);
  };

  const reachable = (id: string) => store.ofProvider(id).find(({ upstream }) => upstream !== undefined);

  const removeExpired = ({ id, expired, facts }: HealthRecord): void => {
    // One that cannot be asked shows no life.
    if (!expired || !(isGone(facts.liveness) || reachable(id) === undefined)) return;
    if (store.removeProvider(id, "removed")) tell({ type: "expired", providerId: id });
  };

  const follow = (id: string): void => {
    if (followed.has(id)) return;
    const begin = () => {
      const deathsBefore = record.deaths;
      return (result: ProbeResult) => probed(record, result, deathsBefore);
    };
    const { graceMs, intervalMs, timeoutMs } = rules;
    const upstream = () => reachable(id)?.upstream;
    const times = { graceMs, intervalMs, timeoutMs, clock, random };
    const loop = startProbeLoop({ probe, upstream, begin, turns, onError, ...times });
    const record: Followed = { ...createHealthRecord(id, kept.take(id)), loop, ejectionTimer: undefined };
    followed.set(id, record);
    publish(record);
  };

  const unfollow = (id: string): void => {
    const record = followed.get(id);
    if (record === undefined) return;
    followed.delete(id);
    record.ejectionTimer?.abort("the provider is gone");
    const end = record.loop.end().catch(onError);
    ending.add(end);
    void end.then(() => ending.delete(end));
    // The plugin may provide something else later; what it said of itself holds on.
    const { report } = record.facts;
    if (report !== undefined && identities?.get(id) !== undefined) kept.keep(id, report);
  };

  const onChange = (change: RevisedChange): void => {
    switch (change.type) {
      case "provider-added":
        follow(change.provider.id);
        break;
      case "provider-removed":
        unfollow(change.provider.id);
        break;
      case "registered": {
        const { providerId, type } = change.registration;
        const record = followed.get(providerId);
        if (record === undefined) break;
        liveness.typeAdded(record, type);
        ejection.typeAdded(record, type, clock.monotonic());
        break;
      }
      case "unregistered": {
        const { providerId, type } = change.registration;
        liveness.typeRemoved(providerId, type);
        ejection.typeRemoved(providerId, type, clock.monotonic());
        break;
      }
      case "provider-changed":
        if (!change.provider.draining && change.provider.health.level !== "unhealthy") break;
        for (const type of typesOf(store, change.provider.id)) ejection.typeWeakened(type, clock.monotonic());
    }
  };

  const forgetChanges = store.onChange(onChange);
  const forgetEnds = identities?.onEnd(({ runtimeId }, reason) => {
    kept.take(runtimeId);
    const record = followed.get(runtimeId);
    if (record === undefined || reason !== "expired") return;
    record.expired = true;
    removeExpired(record);
  });
  for (const { id } of store.providers()) follow(id);

  return {
    report(providerId, report: HealthReport) {
      if (closed) return;
      const record = followed.get(providerId);
      if (record === undefined) {
        if (identities === undefined || identities.get(providerId) !== undefined) kept.keep(providerId, report);
        return;
      }
      const { opinion } = record.facts;
      record.facts = { ...record.facts, report };
      publish(record);
      // What it said to the last probe may be as old as the trouble that is over now.
      if (opinion !== undefined && isWorse(opinion.level, report.level)) record.loop.hurry();
    },
    callEnded(providerId, result) {
      const record = followed.get(providerId);
      if (record === undefined) return;
      ejection.callEnded(record, result, clock.monotonic());
      if (result !== "refused" && result !== "reset") return;
      liveness.sign(record, result, "call");
      publish(record);
      record.loop.hurry();
    },
    async close() {
      closed = true;
      forgetChanges();
      forgetEnds?.();
      for (const id of [...followed.keys()]) unfollow(id);
      await Promise.all(ending);
    },
  };
}
