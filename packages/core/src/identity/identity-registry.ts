import { Code, ConnectError } from "@connectrpc/connect";
import { type Clock, type Peer, systemClock } from "@cpg/resilience";
import { callListener } from "../internal/call-listener.ts";
import { hideProperty } from "../internal/hide-property.ts";
import { DEFAULT_TOKEN_TTL_MS } from "../protocol/constants.ts";
import { checkFreeText, checkName } from "../protocol/field-rules.ts";
import { declaredBytes } from "./declared-bytes.ts";
import { endedIdentity, invalidIdentity } from "./identity-error.ts";
import { createIdentityRecord, type IdentityRecord } from "./identity-record.ts";
import {
  afterEnd,
  afterEviction,
  afterRenewal,
  afterTime,
  afterUse,
  type IdentityEndReason,
  type IdentityState,
} from "./identity-state.ts";
import { presentedCredentials, type RequestHeaders } from "./presented-credentials.ts";
import type { DeclaredServices, RuntimeIdentity } from "./runtime-identity.ts";
import { createRuntimeId, createToken, hashToken, matchesToken } from "./runtime-token.ts";
import { tooMany } from "./too-many.ts";

export interface IdentityRegistryOptions {
  /** Time to live of an identity, from its issue or last renewal, in ms. Default 24 h. */
  readonly ttlMs?: number | undefined;
  /** Live identities at a time. Default 10 000. */
  readonly maxIdentities?: number | undefined;
  /** Memory that the declarations of all live identities may hold together, in bytes. Default 64 MiB. */
  readonly maxDeclaredBytes?: number | undefined;
  /** Hears what an `onEnd` listener throws. Default: nobody. */
  readonly onError?: ((error: unknown) => void) | undefined;
  readonly clock?: Clock | undefined;
}

export interface IssueRequest {
  readonly selfId: string;
  /** Free text, at most 64 bytes. Default: empty. */
  readonly selfVersion?: string | undefined;
  readonly peer?: Peer | undefined;
  readonly declares?: DeclaredServices | undefined;
}

export interface IssuedIdentity {
  readonly identity: RuntimeIdentity;
  /** The secret that proves the identity. Only this object ever holds it. Not enumerable: logs do not show it. */
  readonly token: string;
  readonly ttlMs: number;
}

export type IdentityEndListener = (identity: RuntimeIdentity, reason: IdentityEndReason) => void;

/** The runtime identities that a host gave to plugins. */
export interface IdentityRegistry {
  /** Live identities. */
  readonly size: number;
  readonly ttlMs: number;
  /**
   * Gives out a new identity. When a cap is reached, the oldest that were never used go.
   * @throws {ConnectError} `invalid_argument` for a malformed selfId or selfVersion; `resource_exhausted` with a
   * retry delay when every identity, or all memory for declarations, is in use; `unavailable` after `close`.
   */
  issue(request: IssueRequest): IssuedIdentity;
  /** @throws {ConnectError} `unauthenticated`, with the same text whatever is wrong (cause: IdentityError). */
  verify(runtimeId: string, token: string): RuntimeIdentity;
  /** As `verify`, with the credentials that the headers of a request carry: those of fetch, or of a Node request. */
  authenticate(headers: RequestHeaders): RuntimeIdentity;
  /** Extends an identity by its full time to live. @throws {ConnectError} `unauthenticated` when it is not live. */
  renew(runtimeId: string): RuntimeIdentity;
  /** Ends an identity, its open calls and streams included. False when it was not live. */
  revoke(runtimeId: string, reason?: "revoked" | "superseded" | "released"): boolean;
  /** The live identity of that id. */
  get(runtimeId: string): RuntimeIdentity | undefined;
  /** All that are live, in the order in which they expire. */
  all(): readonly RuntimeIdentity[];
  /**
   * Hears of every identity that is given out, before whoever gets it does. What it throws harms nobody. Returns how to
   * stop.
   */
  onIssue(listener: (identity: RuntimeIdentity) => void): () => void;
  /** Hears of every identity that ends, after its own listeners. What it throws harms nobody. Returns how to stop. */
  onEnd(listener: IdentityEndListener): () => void;
  /** Ends every identity and stops the timer; nothing can be issued afterwards. Idempotent. */
  close(): void;
}

const defaultMaxIdentities = 10_000;
const defaultMaxDeclaredBytes = 64 * 1024 * 1024;
/** When every identity is in use, the next one to expire may be a day away; one may be revoked sooner. */
const maxRetryAfterMs = 60_000;
/** Compared with when the id is unknown, so that this takes as long as a wrong token. */
const noHash = hashToken(createToken());

/**
 * Keeps runtime identities in memory. Tokens are stored as SHA-256 only and compared in constant time.
 * @throws {RangeError} naming the option.
 */
export function createIdentityRegistry(options: IdentityRegistryOptions = {}): IdentityRegistry {
  const {
    ttlMs = DEFAULT_TOKEN_TTL_MS,
    maxIdentities = defaultMaxIdentities,
    maxDeclaredBytes = defaultMaxDeclaredBytes,
    onError = () => {},
    clock = systemClock,
  } = options;
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 1)
    throw new RangeError(`ttlMs must be a whole number from 1, got ${ttlMs}`);
  if (!Number.isSafeInteger(maxIdentities) || maxIdentities < 1) {
    throw new RangeError(`maxIdentities must be a whole number from 1, got ${maxIdentities}`);
  }

  if (!Number.isSafeInteger(maxDeclaredBytes) || maxDeclaredBytes < 0) {
    throw new RangeError(`maxDeclaredBytes must be a whole number from 0, got ${maxDeclaredBytes}`);
  }

  /** In the order in which they expire: all live equally long, and renewal moves to the end. */
  const live = new Map<string, IdentityRecord>();
  /** Those never used, oldest first. */
  const unused = new Map<string, IdentityRecord>();
  const listeners = new Set<IdentityEndListener>();
  const issueListeners = new Set<(identity: RuntimeIdentity) => void>();
  let timer: AbortController | undefined;
  let heldBytes = 0;
  let closed = false;

  const report = (call: () => unknown): void => callListener(call, onError);

  /** Makes `state` the state of the record, with what follows from it. */
  const enter = (record: IdentityRecord, state: IdentityState): void => {
    if (state === record.state) return;
    const { runtimeId } = record.identity;
    record.state = state;
    if (state.kind !== "unused") unused.delete(runtimeId);
    if (state.kind !== "ended") return;
    live.delete(runtimeId);
    heldBytes -= bytesOf(record.identity);
    if (live.size === 0) timer?.abort();
    record.end(endedIdentity(state.reason), report);
    for (const listener of [...listeners]) report(() => listener(record.identity, state.reason));
  };

  const expire = (): void => {
    const nowMs = clock.monotonic();
    for (const record of live.values()) {
      const state = afterTime(record.state, nowMs);
      if (state === record.state) return;
      enter(record, state);
    }
  };

  /** The record, if it is live now; the timer may be late. */
  const find = (runtimeId: string): IdentityRecord | undefined => {
    const record = live.get(runtimeId);
    if (record === undefined) return undefined;
    const state = afterTime(record.state, clock.monotonic());
    if (state === record.state) return record;
    enter(record, state);
    return undefined;
  };

  /** Sleeps until the first identity expires, and again, as long as there is one. */
  const watchExpiry = async (stop: AbortController): Promise<void> => {
    try {
      for (let first = firstOf(live); first !== undefined; first = firstOf(live)) {
        await clock.sleep(expiryOf(first) - clock.monotonic(), stop.signal);
        expire();
      }
    } catch (error) {
      // A clock that fails is no reason to stop serving: `find` looks at the time, too.
      if (!stop.signal.aborted) return onError(error);
    }
    timer = undefined;
    if (live.size > 0) startTimer();
  };
  const startTimer = (): void => {
    if (timer !== undefined || closed) return;
    timer = new AbortController();
    void watchExpiry(timer);
  };

  const isFull = (bytes: number): boolean => live.size >= maxIdentities || heldBytes + bytes > maxDeclaredBytes;
  const makeRoom = (bytes: number): void => {
    if (!isFull(bytes)) return;
    expire();
    let unusedBytes = 0;
    for (const { identity } of unused.values()) unusedBytes += bytesOf(identity);
    const makesRoom = live.size - unused.size < maxIdentities && heldBytes - unusedBytes + bytes <= maxDeclaredBytes;
    for (const oldest of makesRoom ? unused.values() : []) {
      if (!isFull(bytes)) break;
      enter(oldest, afterEviction(oldest.state));
    }
    if (!isFull(bytes)) return;
    const next = firstOf(live);
    const waitMs = next === undefined ? maxRetryAfterMs : expiryOf(next) - clock.monotonic();
    const what =
      live.size >= maxIdentities
        ? `all ${maxIdentities} runtime identities of this host are in use`
        : `plugins have declared as much as this host keeps, ${maxDeclaredBytes} bytes`;
    throw tooMany(what, Math.min(maxRetryAfterMs, waitMs));
  };

  const registry: IdentityRegistry = {
    get size() {
      return live.size;
    },
    ttlMs,
    issue({ selfId, selfVersion = "", peer, declares }) {
      checkName("self_id", selfId);
      checkFreeText("self_version", selfVersion);
      if (closed) throw new ConnectError("the host is shutting down", Code.Unavailable);
      const bytes = bytesOf({ declares });
      makeRoom(bytes);
      const token = createToken();
      const record = createIdentityRecord({
        runtimeId: createRuntimeId(selfId),
        selfId,
        selfVersion,
        peer,
        declares,
        tokenHash: hashToken(token),
        ttlMs,
        clock,
      });
      heldBytes += bytes;
      live.set(record.identity.runtimeId, record);
      unused.set(record.identity.runtimeId, record);
      startTimer();
      for (const listener of [...issueListeners]) report(() => listener(record.identity));
      return hideProperty({ identity: record.identity, token, ttlMs }, "token");
    },
    verify(runtimeId, token) {
      const record = find(runtimeId);
      const matches = matchesToken(token, record?.tokenHash ?? noHash);
      if (record === undefined) throw invalidIdentity("unknown");
      if (!matches) throw invalidIdentity("wrong-token");
      enter(record, afterUse(record.state));
      return record.identity;
    },
    authenticate(headers) {
      const credentials = presentedCredentials(headers);
      if (credentials === undefined) throw invalidIdentity("missing");
      return registry.verify(credentials.runtimeId, credentials.token);
    },
    renew(runtimeId) {
      const record = find(runtimeId);
      if (record === undefined) throw invalidIdentity("unknown");
      enter(record, afterRenewal(record.state, clock.monotonic(), ttlMs));
      live.delete(runtimeId);
      live.set(runtimeId, record);
      record.expiresAtMs = clock.now() + ttlMs;
      return record.identity;
    },
    revoke(runtimeId, reason = "revoked") {
      const record = find(runtimeId);
      if (record === undefined) return false;
      enter(record, afterEnd(record.state, reason));
      return true;
    },
    get: (runtimeId) => find(runtimeId)?.identity,
    all() {
      expire();
      return Array.from(live.values(), ({ identity }) => identity);
    },
    onIssue(listener) {
      const own = (identity: RuntimeIdentity) => listener(identity);
      issueListeners.add(own);
      return () => void issueListeners.delete(own);
    },
    onEnd(listener) {
      // A wrapper, so that one function added twice is two listeners.
      const own: IdentityEndListener = (identity, reason) => listener(identity, reason);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    close() {
      closed = true;
      for (const record of [...live.values()]) enter(record, afterEnd(record.state, "closed"));
      timer?.abort();
      listeners.clear();
      issueListeners.clear();
    },
  };
  return registry;
}

function bytesOf({ declares }: Pick<RuntimeIdentity, "declares">): number {
  return declares === undefined ? 0 : declaredBytes(declares);
}

function firstOf(records: ReadonlyMap<string, IdentityRecord>): IdentityRecord | undefined {
  const { value } = records.values().next();
  return value;
}

function expiryOf({ state }: IdentityRecord): number {
  return state.kind === "ended" ? Number.NEGATIVE_INFINITY : state.expiresAtMs;
}
