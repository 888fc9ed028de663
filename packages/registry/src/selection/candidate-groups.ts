import { createVersionCheck } from "../graph/satisfies.ts";
import type { Registration } from "../state/registration.ts";
import type { RegistryStore } from "../state/registry-store.ts";
import type { InFlight } from "./in-flight.ts";
import type { Candidate } from "./selection.ts";
import type { Turn } from "./strategies.ts";

/** Who may be called for a service type and a least version. */
export interface CandidateGroup {
  /** Registrations of the type. */
  readonly registered: number;
  /** Those of them that are new enough. */
  readonly newEnough: number;
  /** In the order of registration, as are the degraded ones. */
  readonly healthy: readonly Candidate[];
  readonly degraded: readonly Candidate[];
  readonly turn: Turn;
}

export interface CandidateGroups {
  of(type: string, minVersion: string): CandidateGroup;
}

interface TypeGroups {
  readonly byMinVersion: Map<string, CandidateGroup>;
  /** Some may be older than the last change of the type. */
  readonly stale: Set<string>;
}

/** Least versions of one type whose groups are kept; callers may ask for any. */
const maxMinVersions = 32;

/** Keeps the groups until a change of the registry touches them. Types that nobody provides are not kept. */
export function createCandidateGroups(store: RegistryStore, inFlight: InFlight): CandidateGroups {
  const kept = new Map<string, TypeGroups>();
  let heardRevision = store.revision;

  const touch = (type: string): void => {
    const groups = kept.get(type);
    if (groups === undefined) return;
    if (store.ofType(type).length === 0) kept.delete(type);
    else for (const minVersion of groups.byMinVersion.keys()) groups.stale.add(minVersion);
  };
  store.onChange((change) => {
    heardRevision = change.revision;
    switch (change.type) {
      case "registered":
      case "updated":
      case "unregistered":
        return touch(change.registration.type);
      case "provider-changed":
        for (const { type } of store.ofProvider(change.provider.id)) touch(type);
    }
  });

  const build = (type: string, minVersion: string, turn: Turn): CandidateGroup => {
    const registrations = store.ofType(type);
    const newEnough = minVersion === "" ? registrations : registrations.filter(newerThan(minVersion));
    const healthy: Candidate[] = [];
    const degraded: Candidate[] = [];
    for (const registration of newEnough) {
      const provider = store.provider(registration.providerId);
      if (registration.upstream === undefined || provider === undefined) continue;
      if (provider.draining || provider.standby || provider.health.level === "unhealthy") continue;
      const candidate: Candidate = Object.freeze({
        registration,
        provider,
        get inFlight() {
          return inFlight.of(provider.id);
        },
      });
      (provider.health.level === "healthy" ? healthy : degraded).push(candidate);
    }
    return {
      registered: registrations.length,
      newEnough: newEnough.length,
      healthy: Object.freeze(healthy),
      degraded: Object.freeze(degraded),
      turn,
    };
  };

  return {
    of(type, minVersion) {
      let groups = kept.get(type);
      const known = groups?.byMinVersion.get(minVersion);
      const turn = known?.turn ?? { next: 0 };
      // Asked by a listener that hears of a change before this one does: what is kept may be older than the registry.
      if (store.revision !== heardRevision) return build(type, minVersion, turn);
      if (known !== undefined && !groups?.stale.has(minVersion)) return known;
      const group = build(type, minVersion, turn);
      if (group.registered === 0) return group;
      if (groups === undefined) {
        groups = { byMinVersion: new Map(), stale: new Set() };
        kept.set(type, groups);
      }
      groups.stale.delete(minVersion);
      groups.byMinVersion.set(minVersion, group);
      const [oldest] = groups.byMinVersion.keys();
      if (groups.byMinVersion.size > maxMinVersions && oldest !== undefined) {
        groups.byMinVersion.delete(oldest);
        groups.stale.delete(oldest);
      }
      return group;
    },
  };
}

function newerThan(minVersion: string): (registration: Registration) => boolean {
  const satisfies = createVersionCheck();
  return ({ version }) => {
    try {
      return satisfies(version, minVersion);
    } catch {
      // Its numbers are too large to be compared exactly. One such provider must not spoil the type for the others.
      return false;
    }
  };
}
