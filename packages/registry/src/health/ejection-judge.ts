import type { Provider } from "../state/registration.ts";
import { afterCall, eject, isDue, readmit } from "./ejection.ts";
import type { CallResult } from "./health-monitor.ts";
import type { HealthRecord } from "./health-record.ts";
import { ejectionRoom } from "./health-shares.ts";
import { type JudgeOptions, typesOf } from "./liveness-judge.ts";
import { createSidelined } from "./sidelined.ts";

/**
 * Decides which providers are ejected: of each type no more than its share, and never so that it leaves a type without
 * anybody who can be called. Tells and asks for publication by `changed`.
 */
export interface EjectionJudge {
  callEnded(record: HealthRecord, result: CallResult, nowMs: number): void;
  /** Ends an ejection whose time is up. */
  timeUp(record: HealthRecord, nowMs: number): void;
  typeAdded(record: HealthRecord, type: string, nowMs: number): void;
  typeRemoved(providerId: string, type: string, nowMs: number): void;
  /** A provider of the type cannot be called any more. */
  typeWeakened(type: string, nowMs: number): void;
}

export interface EjectionJudgeOptions extends JudgeOptions {
  record(providerId: string): HealthRecord | undefined;
  /** The provider was ejected until then, or (undefined) readmitted. */
  changed(record: HealthRecord, untilMs: number | undefined): void;
}

export function createEjectionJudge(options: EjectionJudgeOptions): EjectionJudge {
  const { store, tell, changed } = options;
  const rules = options.rules.ejection;
  const ejected = createSidelined();

  const takesCalls = (provider: Provider | undefined): boolean =>
    provider !== undefined && !provider.draining && provider.health.level !== "unhealthy";

  const room = (type: string): number =>
    rules === undefined ? 0 : ejectionRoom(store.ofType(type).length, rules.maxShare) - ejected.count(type);

  const mayEject = (id: string, type: string): boolean =>
    room(type) > 0 &&
    store.ofType(type).some(({ providerId }) => providerId !== id && takesCalls(store.provider(providerId)));

  const back = (record: HealthRecord, nowMs: number, early: boolean): void => {
    record.facts = { ...record.facts, ejection: readmit(record.facts.ejection, nowMs) };
    for (const type of typesOf(store, record.id)) ejected.delete(type, record.id);
    tell({ type: "readmitted", providerId: record.id, early });
    changed(record, undefined);
  };

  /** Readmits those who are too many, the longest ejected first, and one of them if nobody else can be called. */
  const settle = (type: string, nowMs: number): void => {
    if (ejected.count(type) === 0) return;
    for (const id of [...ejected.of(type)]) {
      if (room(type) >= 0) break;
      const record = options.record(id);
      if (record === undefined) ejected.delete(type, id);
      else back(record, nowMs, true);
    }
    if (store.ofType(type).some(({ providerId }) => takesCalls(store.provider(providerId)))) return;
    for (const id of [...ejected.of(type)]) {
      const provider = store.provider(id);
      const record = options.record(id);
      if (record === undefined || provider?.draining !== false || provider.health.source !== "ejection") continue;
      back(record, nowMs, true);
      return;
    }
  };

  return {
    callEnded(record, result, nowMs) {
      // The calls that a death has cut say no more than it does, and must not keep the provider out once it is back.
      if (rules === undefined || record.facts.liveness.kind === "dead") return;
      const after = afterCall(record.facts.ejection, result !== "ok");
      if (after === record.facts.ejection) return;
      record.facts = { ...record.facts, ejection: after };
      if (!isDue(after, rules)) return;
      const types = typesOf(store, record.id);
      if (!types.every((type) => mayEject(record.id, type))) return;
      const out = eject(after, nowMs, rules);
      if (out.kind !== "out") return;
      record.facts = { ...record.facts, ejection: out };
      for (const type of types) ejected.add(type, record.id);
      tell({ type: "ejected", providerId: record.id, forMs: out.untilMs - nowMs });
      changed(record, out.untilMs);
    },
    timeUp(record, nowMs) {
      if (record.facts.ejection.kind === "out") back(record, nowMs, false);
    },
    typeAdded({ id, facts }, type, nowMs) {
      if (facts.ejection.kind !== "out") return;
      ejected.add(type, id);
      settle(type, nowMs); // it may be too many there, or the only one
    },
    typeRemoved(id, type, nowMs) {
      ejected.delete(type, id);
      settle(type, nowMs);
    },
    typeWeakened: settle,
  };
}
