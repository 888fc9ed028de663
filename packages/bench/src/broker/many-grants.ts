import { createGrants, type Grants } from "@cpg/broker/grants";
import { type Clock, systemClock } from "@cpg/resilience";

/** A live grant, and what a call under it shows. */
export interface HeldGrant {
  readonly id: string;
  readonly token: string;
}

const hourMs = 60 * 60 * 1_000;
const typeNames = Array.from({ length: 20 }, (_, index) => `type-${index}`);

export const typeOf = (index: number): string => typeNames[index % typeNames.length] ?? "";

export const holderOf = (index: number): string => `plugin-${Math.floor(index / 10)}`;

export function emptyGrants(clock: Clock = systemClock): Grants {
  return createGrants({ clock, ttlMs: hourMs, maxTtlMs: 24 * hourMs, limits: { maxGrants: 200_000 } });
}

/** Issues so many grants, whose ends lie spread over an hour. */
export function issueMany(grants: Grants, count: number): HeldGrant[] {
  return Array.from({ length: count }, (_, index) => {
    const ttlMs = hourMs + Math.floor((index / count) * hourMs);
    const terms = { type: typeOf(index), version: "1.0.0", holder: holderOf(index), reason: "", ttlMs };
    const { grant, token } = grants.issue(terms);
    return { id: grant.id, token };
  });
}
