import { type Clock, systemClock } from "@cpg/resilience";
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey, type LocalJWKSet } from "jose";

export interface RemoteKeysOptions {
  /** Of the key set, https; http on a loopback address only. */
  readonly url: string | URL;
  /** Time between two fetches, at least, in ms, however many keys are asked for that nobody knows. Default 30 000. */
  readonly cooldownMs?: number | undefined;
  /** Age at which the keys are fetched again, in ms: a key that was withdrawn counts no longer. Default 600 000. */
  readonly maxAgeMs?: number | undefined;
  /** Age to which keys are used while they cannot be fetched, in ms. At least `maxAgeMs`. Default 3 600 000. */
  readonly maxStaleMs?: number | undefined;
  /** Bound on one fetch, in ms. Default 5 000. */
  readonly timeoutMs?: number | undefined;
  /** Of the key set. Default 512 KiB. */
  readonly maxBytes?: number | undefined;
}

/** The keys cannot be had now. Says nothing about the token. */
export class KeysUnavailableError extends Error {
  override readonly name = "KeysUnavailableError";
}

interface Fetched {
  readonly keys: LocalJWKSet;
  readonly atMs: number;
}

const loopbackHosts = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * Keys from a URL, for `jwtVerify`: fetched when they are first needed, when they are old, and when a token names a key
 * that is not among them, but never more often than `cooldownMs` allows; concurrent callers share one fetch.
 *
 * jose's own `createRemoteJWKSet` fetches again for every token while the server is down, and reads the clock of the
 * machine; the choice of the key is jose's.
 * @throws {TypeError} {RangeError} for bad options, naming the option.
 */
export function createRemoteKeys(options: RemoteKeysOptions, clock: Clock = systemClock): JWTVerifyGetKey {
  const { cooldownMs = 30_000, maxAgeMs = 600_000, maxStaleMs = Math.max(3_600_000, maxAgeMs) } = options;
  const { timeoutMs = 5_000, maxBytes = 512 * 1024 } = options;
  const url = checkUrl(options.url);
  for (const [name, value] of Object.entries({ cooldownMs, maxAgeMs, timeoutMs, maxBytes })) {
    if (!(value > 0)) throw new RangeError(`${name} must be greater than 0, got ${value}`);
  }
  if (!(maxStaleMs >= maxAgeMs)) throw new RangeError(`maxStaleMs must be at least maxAgeMs, got ${maxStaleMs}`);
  let fetched: Fetched | undefined;
  let attemptedAtMs = Number.NEGATIVE_INFINITY;
  let fetching: Promise<void> | undefined;

  const fetchKeys = async (): Promise<void> => {
    const limit = new AbortController();
    const timer = new AbortController();
    clock.sleep(timeoutMs, timer.signal).then(
      () => limit.abort(new Error(`no answer within ${timeoutMs} ms`)),
      () => {}, // it answered
    );
    try {
      const response = await fetch(url, {
        redirect: "error",
        headers: { accept: "application/jwk-set+json, application/json" },
        signal: limit.signal,
      });
      if (response.status !== 200) {
        await response.body?.cancel();
        throw new Error(`status ${response.status}`);
      }
      const set: unknown = JSON.parse(await readText(response, maxBytes));
      fetched = { keys: createLocalJWKSet(set as JSONWebKeySet), atMs: clock.monotonic() };
    } finally {
      timer.abort("it answered");
    }
  };
  /** Whether there was a fetch, which may have failed. */
  const refresh = async (): Promise<boolean> => {
    if (fetching === undefined) {
      if (clock.monotonic() - attemptedAtMs < cooldownMs) return false;
      attemptedAtMs = clock.monotonic();
      fetching = fetchKeys()
        .catch(() => {}) // what was fetched before stays, for as long as it may
        .finally(() => {
          fetching = undefined;
        });
    }
    await fetching;
    return true;
  };
  const usable = (): LocalJWKSet => {
    if (fetched === undefined || clock.monotonic() - fetched.atMs > maxStaleMs) {
      throw new KeysUnavailableError(`no keys from ${url.origin}`);
    }
    return fetched.keys;
  };

  return async (header, token) => {
    if (fetched === undefined || clock.monotonic() - fetched.atMs >= maxAgeMs) await refresh();
    const before = fetched;
    try {
      return await usable()(header, token);
    } catch (reason) {
      if (!(reason instanceof errors.JWKSNoMatchingKey)) throw reason;
      await refresh();
      if (fetched === before) throw reason;
      return await usable()(header, token);
    }
  };
}

function checkUrl(input: string | URL): URL {
  if (!URL.canParse(String(input))) throw new TypeError("keys.url must be an absolute URL");
  const url = new URL(input);
  const allowed = url.protocol === "https:" || (url.protocol === "http:" && loopbackHosts.has(url.hostname));
  if (!allowed) throw new TypeError("keys.url must be https, or http on a loopback address");
  if (url.username !== "" || url.password !== "") throw new TypeError("keys.url must not hold credentials");
  return url;
}

async function readText(response: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw new Error(`more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
