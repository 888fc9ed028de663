import { Code, ConnectError } from "@connectrpc/connect";
import { type Clock, systemClock } from "@cpg/resilience";
import { isHeaderCredential } from "./header-credential.ts";

/** A credential of a client. */
export interface Credential {
  readonly value: string;
  /** Until when it is valid, wall clock ms. Default: for ever. */
  readonly expiresAtMs?: number | undefined;
}

/** Where a client's credential comes from. `signal` aborts when it takes too long. */
export type CredentialSource = (signal: AbortSignal) => Credential | string | Promise<Credential | string>;

export interface CredentialSourceOptions {
  /** How long before its end a credential is replaced, in ms. Default 60 000; at most half of what it was valid for. */
  readonly refreshBeforeMs?: number | undefined;
  /** Bound on one call of the source, in ms. Default 10 000. */
  readonly sourceTimeoutMs?: number | undefined;
  readonly clock?: Clock | undefined;
}

/** The credential of a client, kept up to date. */
export interface CurrentCredential {
  /**
   * What to send. A value at once if there is a valid one. Concurrent callers share one call of the source; a caller that
   * goes away does not end it for the others.
   * @throws {ConnectError} `unauthenticated` when the source fails: its error is the cause. The reason of `signal`.
   */
  get(signal: AbortSignal): string | Promise<string>;
  /** A server refused this one: the next `get` asks the source. Has no effect if there is another one by now. */
  refuse(value: string): void;
}

interface Held extends Credential {
  /** When to ask for another, wall clock ms. */
  readonly refreshAtMs: number;
}

/** @throws {RangeError} naming the option. */
export function createCurrentCredential(
  source: CredentialSource,
  options: CredentialSourceOptions = {},
): CurrentCredential {
  const { refreshBeforeMs = 60_000, sourceTimeoutMs = 10_000, clock = systemClock } = options;
  if (!(refreshBeforeMs >= 0))
    throw new RangeError(`refreshBeforeMs must be a number of ms from 0, got ${refreshBeforeMs}`);
  if (!(sourceTimeoutMs > 0)) throw new RangeError(`sourceTimeoutMs must be greater than 0, got ${sourceTimeoutMs}`);
  let held: Held | undefined;
  let asking: Promise<Held> | undefined;

  const ask = async (): Promise<Held> => {
    const limit = new AbortController();
    const timer = new AbortController();
    const late = clock.sleep(sourceTimeoutMs, timer.signal).then(() => {
      const error = new Error(`the source of the credential did not answer within ${sourceTimeoutMs} ms`);
      limit.abort(error);
      throw error;
    });
    late.catch(() => {}); // stopped, as a rule
    try {
      const answered = await Promise.race([(async () => source(limit.signal))(), late]);
      const { value, expiresAtMs = Number.POSITIVE_INFINITY } =
        typeof answered === "string" ? { value: answered } : answered;
      const nowMs = clock.now();
      if (typeof value !== "string" || !isHeaderCredential(value)) {
        throw new TypeError("the source gave no credential: it must be visible ASCII without commas");
      }
      if (!(expiresAtMs > nowMs)) throw new TypeError("the source gave a credential that has expired");
      const early = Math.min(refreshBeforeMs, (expiresAtMs - nowMs) / 2);
      held = { value, expiresAtMs, refreshAtMs: expiresAtMs - early };
      return held;
    } catch (reason) {
      throw new ConnectError("no credential for the call", Code.Unauthenticated, undefined, undefined, reason);
    } finally {
      timer.abort("the source has answered");
    }
  };
  const renew = (): Promise<Held> => {
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return asking;
  };

  return {
    get(signal) {
      const nowMs = clock.now();
      if (held === undefined || nowMs >= (held.expiresAtMs ?? Number.POSITIVE_INFINITY)) {
        return untilAborted(renew(), signal).then(({ value }) => value);
      }
      // What is held is still good: a source that fails now is asked again by the next call.
      if (nowMs >= held.refreshAtMs) renew().catch(() => {});
      return held.value;
    },
    refuse(value) {
      if (held?.value === value) held = undefined;
    },
  };
}

function untilAborted<T>(shared: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    shared.catch(() => {});
    return Promise.reject(signal.reason);
  }
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  return Promise.race([shared, promise]).finally(() => signal.removeEventListener("abort", onAbort));
}
