import type { RegistryStore } from "../state/registry-store.ts";
import type { HealthEvent } from "./health-event.ts";
import type { HealthRules } from "./health-options.ts";
import type { HealthRecord } from "./health-record.ts";
import { mayHide } from "./health-shares.ts";
import { afterSign, hide, isGone, type Liveness, type LivenessEvent } from "./liveness.ts";
import { createSidelined } from "./sidelined.ts";

/** Decides which providers are gone, within what mass protection allows for their types. Tells; publishes nothing. */
export interface LivenessJudge {
  sign(record: HealthRecord, event: LivenessEvent, by: "probe" | "call"): void;
  /** The provider has one type more, or one less. */
  typeAdded(record: HealthRecord, type: string): void;
  typeRemoved(providerId: string, type: string): void;
}

export interface JudgeOptions {
  readonly store: Pick<RegistryStore, "ofType" | "ofProvider" | "provider">;
  readonly rules: HealthRules;
  tell(event: HealthEvent): void;
}

export function createLivenessJudge({ store, rules, tell }: JudgeOptions): LivenessJudge {
  /** Hidden for time-outs. */
  const hidden = createSidelined();
  /** Silent, but not hidden, because too many of the type are. */
  const shielded = createSidelined();

  const unshield = (type: string, id: string): void => {
    if (shielded.delete(type, id)) tell({ type: "mass-silence-ended", serviceType: type });
  };
  const shield = (type: string, id: string): void => {
    if (!shielded.add(type, id)) return;
    const providers = store.ofType(type).length;
    tell({ type: "mass-silence", serviceType: type, providers, hidden: hidden.count(type) });
  };

  /** A silent provider, if none of its types is protected. */
  const afterHiding = (id: string, liveness: Liveness): Liveness => {
    const types = typesOf(store, id);
    const isFree = (type: string): boolean => {
      const share = { providers: store.ofType(type).length, sidelined: hidden.count(type) };
      return mayHide(share, rules.massSilence);
    };
    const blocked = new Set(types.filter((type) => !isFree(type)));
    for (const type of types) {
      if (blocked.has(type)) shield(type, id);
      else unshield(type, id);
    }
    if (blocked.size > 0) return liveness;
    for (const type of types) hidden.add(type, id);
    return hide(liveness);
  };

  return {
    sign(record, event, by) {
      const { id, facts } = record;
      const before = facts.liveness;
      let after = afterSign(before, event, rules.liveness);
      if (after.kind === "silent" && !after.hidden) after = afterHiding(id, after);
      if (after === before) return;
      record.facts = { ...facts, liveness: after };
      if (before.kind === "silent" && after.kind !== "silent") {
        for (const type of typesOf(store, id)) {
          hidden.delete(type, id);
          unshield(type, id);
        }
      }
      if (after.kind === "dead") {
        record.deaths++;
        tell({ type: "died", providerId: id, proof: after.proof, by });
      } else if (isGone(after)) {
        tell({ type: "silent", providerId: id });
      } else if (isGone(before)) {
        tell({ type: "recovered", providerId: id });
      }
    },
    typeAdded({ id, facts }, type) {
      if (facts.liveness.kind === "silent" && facts.liveness.hidden) hidden.add(type, id);
    },
    typeRemoved(id, type) {
      hidden.delete(type, id);
      unshield(type, id);
    },
  };
}

export function typesOf(store: Pick<RegistryStore, "ofProvider">, providerId: string): readonly string[] {
  return store.ofProvider(providerId).map(({ type }) => type);
}
