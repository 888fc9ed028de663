import { randomBytes } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { callListener, createToken, hashToken, hideProperty, matchesToken } from "@cpg/core/extension";
import { type Clock, retryLater } from "@cpg/resilience";
import { grantRefused } from "../grant-refused.ts";
import { createExpiry, type Expiring } from "./expiry.ts";
import type { Grant, GrantEnd } from "./grant.ts";
import { createGrantCalls, type GrantCalls } from "./grant-calls.ts";
import { createGrantIndex, type Indexed } from "./grant-index.ts";
import { checkTtl, resolveGrantLimits } from "./grant-limits.ts";
import { allowsMethod, derivedGrant, type GrantNames, isOver, issuedGrant, renewedGrant } from "./grant-rules.ts";
import type { GrantChange, GrantLimits, Grants, IssuedGrant } from "./grants.ts";

export interface CreateGrantsOptions {
  readonly clock: Clock;
  /** Time to live of a grant that names none, in ms. */
  readonly ttlMs: number;
  /** Greatest time to live, with all renewals, in ms. */
  readonly maxTtlMs: number;
  readonly limits?: GrantLimits | undefined;
  /** Hears of each change, in order. What it throws goes to `onError`. Default: nobody. */
  readonly onEvent?: ((change: GrantChange) => void) | undefined;
  /** Default: nobody. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

interface Entry extends Indexed, Expiring {
  grant: Grant;
  readonly tokenHash: Buffer;
  readonly from: Entry | undefined;
  derived: Set<Entry> | undefined;
  /** From the first call on. */
  calls: GrantCalls | undefined;
}

/** How late a grant whose time is up leaves memory, and its open streams end: calls are refused at once. */
const expiryWidthMs = 1_000;
/** At a limit: somebody may give a grant back sooner than the first one expires. */
const retryAfterMs = 10_000;
/** Compared with when there is no such grant, so that this takes as long as a wrong token. */
const noHash = hashToken(createToken());

/** @throws {RangeError} naming the option or limit. */
export function createGrants(options: CreateGrantsOptions): Grants {
  const { clock, ttlMs: defaultTtlMs, maxTtlMs, onEvent = () => {}, onError = () => {} } = options;
  const limits = resolveGrantLimits(options.limits);
  checkTtl("ttlMs", defaultTtlMs);
  checkTtl("maxTtlMs", maxTtlMs);
  const index = createGrantIndex<Entry>();
  const { byId, byAccessor, byHolder, byType } = index;
  let closed = false;

  const tell = (change: GrantChange): void => callListener(() => onEvent(change), onError);
  const now = () => ({ monotonicMs: clock.monotonic(), wallMs: clock.now() });

  const expiry = createExpiry<Entry>({
    clock,
    widthMs: expiryWidthMs,
    onDue(entry) {
      if (!isOver(entry.grant, clock.monotonic())) return entry.grant.expiresAtMs;
      end([entry], "expired", "its time was up");
      return undefined;
    },
    onError,
  });

  /** Lets go of grants and of what was derived from them; then ends their calls, and tells. */
  const end = (entries: Iterable<Entry>, how: GrantEnd, because: string): number => {
    const ended: Entry[] = [];
    const open = [...entries];
    for (let entry = open.pop(); entry !== undefined; entry = open.pop()) {
      if (!index.remove(entry)) continue;
      entry.from?.derived?.delete(entry);
      expiry.remove(entry);
      ended.push(entry);
      for (const derived of entry.derived ?? []) open.push(derived); // spread, they can be too many for the stack
    }
    for (const { calls } of ended) calls?.end(endError(how, because));
    for (const { grant } of ended) tell({ type: "ended", grant, end: how, because });
    return ended.length;
  };

  const checkRoom = (askedBy: string): void => {
    if (closed) throw new ConnectError("the host is shutting down", Code.Unavailable);
    const { maxGrants, maxGrantsPerIdentity } = limits;
    if (byId.size >= maxGrants) {
      throw retryLater(`all ${maxGrants} grants of this host are in use`, Code.ResourceExhausted, retryAfterMs);
    }
    if ((index.asked.get(askedBy) ?? 0) >= maxGrantsPerIdentity) {
      const message = `${askedBy} has asked for ${maxGrantsPerIdentity} grants that live, which is the most`;
      throw retryLater(message, Code.ResourceExhausted, retryAfterMs);
    }
  };

  const keep = (grant: Grant, askedBy: string, from: Entry | undefined): IssuedGrant => {
    const token = createToken();
    const tokenHash = hashToken(token);
    const entry: Entry = { grant, tokenHash, askedBy, from, derived: undefined, calls: undefined, bucket: undefined };
    index.add(entry);
    if (from !== undefined) {
      from.derived ??= new Set();
      from.derived.add(entry);
    }
    expiry.add(entry, grant.expiresAtMs);
    return hideProperty({ grant, token }, "token");
  };

  /** The grant, if it lives now; the timer may be late. */
  const live = (entry: Entry | undefined): Entry | undefined => {
    if (entry === undefined || !isOver(entry.grant, clock.monotonic())) return entry;
    end([entry], "expired", "its time was up");
    return undefined;
  };
  const held = (id: string, holder: string): Entry => {
    const entry = live(byId.get(id));
    if (entry === undefined || entry.grant.holder !== holder) {
      throw new ConnectError(`${holder} holds no grant ${id}`, Code.NotFound);
    }
    return entry;
  };

  return {
    get size() {
      return byId.size;
    },
    issue({ type, version, holder, reason, ttlMs = defaultTtlMs }) {
      checkTtl("ttlMs", ttlMs);
      checkRoom(holder);
      const grant = issuedGrant(randomNames(), { type, version, holder, reason, ttlMs, maxTtlMs }, now());
      const issued = keep(grant, holder, undefined);
      tell({ type: "issued", grant });
      return issued;
    },
    check(id, type, token) {
      const entry = live(byId.get(id));
      const matches = matchesToken(token, entry?.tokenHash ?? noHash);
      if (entry === undefined || entry.grant.type !== type) {
        throw grantRefused(`there is no grant ${id} of ${type}`, Code.NotFound);
      }
      if (!matches) throw grantRefused("the token is not that of the grant", Code.Unauthenticated);
      return entry.grant;
    },
    enter(id, method) {
      const entry = live(byId.get(id));
      if (entry === undefined) throw grantRefused(`there is no grant ${id}`, Code.NotFound);
      const { grant } = entry;
      if (grant.methods !== undefined && (method === undefined || !allowsMethod(grant, method))) {
        throw new ConnectError(`the grant does not allow ${method ?? "this call"}`, Code.PermissionDenied);
      }
      const nowMs = clock.monotonic();
      entry.calls ??= createGrantCalls(limits, nowMs);
      return entry.calls.enter(nowMs);
    },
    renew(id, holder, ttlMs) {
      checkTtl("ttlMs", ttlMs);
      const entry = held(id, holder);
      const grant = renewedGrant(entry.grant, entry.from?.grant, ttlMs, clock.monotonic());
      entry.grant = grant;
      tell({ type: "renewed", grant });
      return grant;
    },
    derive(id, holder, { holder: other, reason, methods, ttlMs }) {
      checkTtl("ttlMs", ttlMs);
      const entry = held(id, holder);
      checkRoom(holder);
      const terms = { holder: other, reason, methods, ttlMs };
      const grant = derivedGrant(entry.grant, randomNames(), terms, now(), limits.maxDepth);
      const issued = keep(grant, holder, entry);
      tell({ type: "derived", grant });
      return issued;
    },
    giveBack(id, holder) {
      end([held(id, holder)], "returned", "its holder gave it back");
    },

    get: (accessor) => live(byAccessor.get(accessor))?.grant,
    find: (id) => live(byId.get(id))?.grant,
    list() {
      const nowMs = clock.monotonic();
      return [...byId.values()].map(({ grant }) => grant).filter((grant) => !isOver(grant, nowMs));
    },
    revoke(accessor, reason) {
      const entry = live(byAccessor.get(accessor));
      return entry === undefined ? 0 : end([entry], "revoked", reason);
    },
    revokeHolder: (runtimeId, reason) => end(byHolder.get(runtimeId) ?? [], "revoked", reason),
    revokeCapability: (type, reason) => end(byType.get(type) ?? [], "revoked", reason),
    revokeAll: (reason) => end(byId.values(), "revoked", reason),
    endHolder: (runtimeId, why) => end(byHolder.get(runtimeId) ?? [], "holder-ended", why),
    close() {
      closed = true;
      end(byId.values(), "revoked", "the host is shutting down");
      expiry.close();
    },
  };
}

function endError(how: GrantEnd, because: string): ConnectError {
  const what = how === "holder-ended" ? "the identity of its holder has ended" : `it was ${how}`;
  return new ConnectError(
    `the grant has ended: ${how === "expired" ? because : `${what} (${because})`}`,
    Code.PermissionDenied,
  );
}

/** 128 random bits each: two never collide in practice, and nobody guesses one. */
function randomNames(): GrantNames {
  const bytes = randomBytes(32); // one question to the system, which takes longer than all the rest
  return { id: bytes.toString("base64url", 0, 16), accessor: bytes.toString("base64url", 16) };
}
