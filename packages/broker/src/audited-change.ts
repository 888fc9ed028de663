import { type AuditEvent, auditedGrant } from "./audit/audit-event.ts";
import type { GrantChange } from "./grants/grants.ts";

/** What became of a grant, as it is told. @param timeMs wall clock. */
export function auditedChange(change: GrantChange, timeMs: number): AuditEvent {
  const { grant } = change;
  const facts = { ...auditedGrant(grant), timeMs };
  const { ttlMs, reason, methods } = grant;
  switch (change.type) {
    case "issued":
      return { ...facts, type: "granted", reason, ttlMs };
    case "derived":
      return { ...facts, type: "derived", derivedFrom: grant.derivedFrom ?? "", methods, reason, ttlMs };
    case "renewed":
      return { ...facts, type: "renewed", ttlMs };
    case "ended":
      return { ...facts, type: change.end, reason: change.because };
  }
}
