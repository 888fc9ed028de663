import type { Grant, GrantEnd } from "./grant.ts";

/** Bounds of the grants of one host. */
export interface GrantLimits {
  /** Live grants in all. Whole number from 1. Default 100 000. */
  readonly maxGrants?: number | undefined;
  /** Live grants that one identity asked for, those that it derived for others among them. Whole number from 1. Default 100. */
  readonly maxGrantsPerIdentity?: number | undefined;
  /** Derivations from a grant that the host gave out, one after the other. Whole number from 0. Default 4. */
  readonly maxDepth?: number | undefined;
  /** Calls under one grant at a time, streams among them. Whole number from 1. Default 100. */
  readonly maxConcurrentCalls?: number | undefined;
  /** Calls per second under one grant, in the long run. Greater than 0. Default 1 000. */
  readonly callsPerSecond?: number | undefined;
  /** Calls that one grant may make at once after a pause. Whole number from 1. Default: twice `callsPerSecond`. */
  readonly callBurst?: number | undefined;
}

export interface IssueTerms {
  /** Of the capability. */
  readonly type: string;
  readonly version: string;
  /** Runtime id. */
  readonly holder: string;
  readonly reason: string;
  /** Default, and at most: as the host says. */
  readonly ttlMs?: number | undefined;
}

export interface DeriveTerms {
  /** Runtime id of whom it is for. */
  readonly holder: string;
  readonly reason: string;
  /** Default: those that the grant allows. */
  readonly methods?: readonly string[] | undefined;
  /** Default: what is left of the grant, which is the most. */
  readonly ttlMs?: number | undefined;
}

/** A grant that is new, and the only time that its token is seen. Not enumerable there: logs do not show it. */
export interface IssuedGrant {
  readonly grant: Grant;
  readonly token: string;
}

/** A call that was let in. */
export interface EnteredCall {
  /** Aborts when the grant ends, with the `permission_denied` for the caller. */
  readonly signal: AbortSignal;
  /** To be called once the call has ended. Idempotent. */
  leave(): void;
}

/** What became of a grant, told after it did. */
export type GrantChange =
  | { readonly type: "issued" | "derived" | "renewed"; readonly grant: Grant }
  /** `because`: the host's reason; of what was derived from a grant that ended, the same. */
  | { readonly type: "ended"; readonly grant: Grant; readonly end: GrantEnd; readonly because: string };

/**
 * The grants that a host has given out. Each time to live has to be a finite number greater than 0, else there is a
 * RangeError and nothing has changed. To issue, look up and end one takes the same time however many there are. Those
 * whose time is up leave memory by themselves, within a second.
 */
export interface Grants {
  /** Live grants. */
  readonly size: number;
  /** @throws {ConnectError} `resource_exhausted` with a retry delay at a limit; `unavailable` after `close`. */
  issue(terms: IssueTerms): IssuedGrant;
  /**
   * The grant that a call shows the token of.
   * @throws {ConnectError} made by `grantRefused`: `not_found` for a grant that is not there, or of another type,
   * `unauthenticated` for a wrong token. Both take the same time.
   */
  check(id: string, type: string, token: string): Grant;
  /**
   * Takes a place among the calls of a grant, and one of its calls per second.
   * @param method full name; undefined: it is none that can be allowed by itself.
   * @throws {ConnectError} made by `grantRefused`: `not_found`; else `permission_denied` for a method that the grant does not
   * allow, `resource_exhausted` at a limit.
   */
  enter(id: string, method: string | undefined): EnteredCall;
  /** @throws {ConnectError} `not_found` when the holder has no such grant, `failed_precondition` when nothing is to be added. */
  renew(id: string, holder: string, ttlMs?: number): Grant;
  /**
   * Makes a narrower grant for another plugin.
   * @throws {ConnectError} `not_found` when the holder has no such grant; `permission_denied` for methods that it does not
   * allow; `failed_precondition` at the greatest depth; `resource_exhausted` at a limit.
   */
  derive(id: string, holder: string, terms: DeriveTerms): IssuedGrant;
  /** Ends a grant for its holder. @throws {ConnectError} `not_found` when the holder has no such grant. */
  giveBack(id: string, holder: string): void;

  /** By its accessor. */
  get(accessor: string): Grant | undefined;
  /** By its id. */
  find(id: string): Grant | undefined;
  list(): readonly Grant[];
  /** Each of these ends what was derived, too, and returns how many grants it ended. */
  revoke(accessor: string, reason: string): number;
  revokeHolder(runtimeId: string, reason: string): number;
  revokeCapability(type: string, reason: string): number;
  revokeAll(reason: string): number;
  /** The identity has ended: so do the grants that it holds. */
  endHolder(runtimeId: string, why: string): number;
  /** Ends all. Nothing can be issued afterwards. Idempotent. */
  close(): void;
}
