import { Code, ConnectError } from "@connectrpc/connect";
import type { Grant } from "./grant.ts";

export interface GrantNames {
  readonly id: string;
  readonly accessor: string;
}

/** What a grant is to be like. */
export interface GrantTerms {
  readonly type: string;
  readonly version: string;
  readonly holder: string;
  readonly reason: string;
  readonly ttlMs: number;
  readonly maxTtlMs: number;
}

/** What a grant that is derived is to be like; what is not said is as in the one that it comes from. */
export interface DerivedTerms {
  readonly holder: string;
  readonly reason: string;
  readonly methods: readonly string[] | undefined;
  readonly ttlMs: number | undefined;
}

/** One moment, on both clocks. */
export interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/*
 * What may become of a grant. Pure. `now` is a time on the monotonic clock at which the grant is not over.
 *
 * | grant | what is asked | it becomes |
 * |---|---|---|
 * | none | issue | one that expires after its time to live, and can be renewed up to its greatest one |
 * | given out by the host | renew | one that expires after the time to live from now, at most at the end of all renewals, never sooner than before |
 * | derived | renew | the same, at most when what it was derived from expires |
 * | any, at the end of its time | renew | refused: failed_precondition |
 * | any | derive, methods that it allows | a second one: those methods, expires no later, ends no later, one level deeper |
 * | any | derive, other methods | refused: permission_denied |
 * | any, too deep | derive | refused: failed_precondition |
 * | any | its time is up | over |
 *
 * As a grant never expires sooner than it would have, and ends what was derived from it when it ends, none of those ever
 * allows what it does not allow, or lives longer.
 */

export function issuedGrant(names: GrantNames, terms: GrantTerms, now: Moment): Grant {
  const { type, version, holder, reason, maxTtlMs } = terms;
  const ttlMs = Math.min(terms.ttlMs, maxTtlMs);
  return {
    ...names,
    type,
    version,
    holder,
    methods: undefined,
    reason,
    issuedAtMs: now.wallMs,
    ttlMs,
    maxTtlMs,
    expiresAtMs: now.monotonicMs + ttlMs,
    endsAtMs: now.monotonicMs + maxTtlMs,
    renewable: ttlMs < maxTtlMs,
    derivedFrom: undefined,
    depth: 0,
  };
}

/**
 * @param from what it was derived from, if it was.
 * @param ttlMs from now on. Default: what it had.
 * @throws {ConnectError} `failed_precondition` when there is nothing to add.
 */
export function renewedGrant(grant: Grant, from: Grant | undefined, ttlMs: number | undefined, nowMs: number): Grant {
  const limitMs = Math.min(grant.endsAtMs, from?.expiresAtMs ?? Number.POSITIVE_INFINITY);
  if (grant.expiresAtMs >= limitMs) {
    const why =
      limitMs < grant.endsAtMs ? "what it was derived from ends with it" : "its greatest time to live is reached";
    throw new ConnectError(`the grant cannot be renewed: ${why}`, Code.FailedPrecondition);
  }
  const expiresAtMs = Math.min(limitMs, Math.max(grant.expiresAtMs, nowMs + (ttlMs ?? grant.ttlMs)));
  return { ...grant, ttlMs: expiresAtMs - nowMs, expiresAtMs, renewable: expiresAtMs < grant.endsAtMs };
}

/** @throws {ConnectError} `permission_denied` naming the method; `failed_precondition` when it would be too deep. */
export function derivedGrant(
  grant: Grant,
  names: GrantNames,
  terms: DerivedTerms,
  now: Moment,
  maxDepth: number,
): Grant {
  const { holder, reason, methods = grant.methods } = terms;
  if (grant.depth >= maxDepth) {
    const message = `the grant cannot be derived from: it is ${grant.depth} derivations deep, and ${maxDepth} are the most`;
    throw new ConnectError(message, Code.FailedPrecondition);
  }
  const refused = methods?.find((method) => !allowsMethod(grant, method));
  if (refused !== undefined) {
    throw new ConnectError(
      `the grant does not allow ${refused}, and nothing derived from it can`,
      Code.PermissionDenied,
    );
  }
  const nowMs = now.monotonicMs;
  const leftMs = grant.expiresAtMs - nowMs;
  const maxTtlMs = grant.endsAtMs - nowMs;
  const ttlMs = Math.min(terms.ttlMs ?? leftMs, leftMs);
  return {
    ...names,
    type: grant.type,
    version: grant.version,
    holder,
    methods: methods && [...new Set(methods)],
    reason,
    issuedAtMs: now.wallMs,
    ttlMs,
    maxTtlMs,
    expiresAtMs: nowMs + ttlMs,
    endsAtMs: grant.endsAtMs,
    renewable: nowMs + ttlMs < grant.endsAtMs,
    derivedFrom: grant.accessor,
    depth: grant.depth + 1,
  };
}

export function isOver({ expiresAtMs }: Grant, nowMs: number): boolean {
  return nowMs >= expiresAtMs;
}

export function allowsMethod({ methods }: Pick<Grant, "methods">, method: string): boolean {
  return methods === undefined || methods.includes(method);
}
