import { createHash } from "node:crypto";
import { createSecureContext } from "node:tls";
import { type Clock, systemClock } from "@cpg/resilience";
import { splitRevocationLists } from "./mtls-revocation-list.ts";
import type { TlsMaterial, TlsUpdates } from "./tls-material.ts";

/** What became of one look at the material. */
export type TlsReload =
  | { readonly kind: "unchanged" }
  | { readonly kind: "applied" }
  /** It could not be read or used, or a server or client did not take it; there what was in use stays. */
  | { readonly kind: "refused"; readonly error: Error };

export interface TlsSourceOptions {
  /** Gives the present material, such as from a secret store. May be slow; looks are never concurrent. */
  load(): TlsMaterial | Promise<TlsMaterial>;
  /** Time between two looks, in ms. From 1, or 0 for none: then only `reload` looks. Default 60 000. */
  readonly refreshMs?: number | undefined;
  /** Hears of every look that changed something or failed; a failure that goes on is told once. Default: nobody. */
  readonly onReload?: ((reload: TlsReload) => void) | undefined;
  readonly clock?: Clock | undefined;
}

/** TLS material that stays up to date. */
export interface TlsSource extends AsyncDisposable {
  /** What is valid now, with the updates of it, for the `tls` option of a server or client: `{ ...source.tls, requestCert: true }`. */
  readonly tls: TlsMaterial & { readonly updates: TlsUpdates };
  /**
   * Looks now; while a look is under way, once more after it, and concurrent calls share that one. Resolves with what came
   * of it, never rejects.
   */
  reload(): Promise<TlsReload>;
  /** Stops looking. What was handed out stays valid as it is. Idempotent. */
  close(): Promise<void>;
}

const longestTimerMs = 2 ** 31 - 1;

/**
 * Loads TLS material, and loads it again and again; running servers and clients take what is new without dropping a call.
 * @throws {RangeError} for bad options. Whatever `load` throws the first time, and {Error} for material that OpenSSL refuses.
 */
export async function createTlsSource(options: TlsSourceOptions): Promise<TlsSource> {
  const { load, refreshMs = 60_000, onReload = () => {}, clock = systemClock } = options;
  if (!Number.isInteger(refreshMs) || refreshMs < 0 || refreshMs > longestTimerMs) {
    throw new RangeError(`refreshMs must be a whole number from 0 to ${longestTimerMs}, got ${refreshMs}`);
  }
  let current = splitRevocationLists(await load());
  checkMaterial(current);
  let print = fingerprint(current);
  const subscribers = new Set<(material: TlsMaterial) => void>();
  let lastError: string | undefined;
  let looking: Promise<TlsReload> | undefined;
  let next: Promise<TlsReload> | undefined;
  const closed = new AbortController();

  const tell = (reload: TlsReload): void => {
    try {
      onReload(reload);
    } catch {
      // Whoever listens has nobody else to tell either.
    }
  };
  const look = async (): Promise<TlsReload> => {
    try {
      const material = splitRevocationLists(await load());
      if (closed.signal.aborted) return { kind: "unchanged" };
      const newPrint = fingerprint(material);
      if (newPrint === print) {
        lastError = undefined;
        return { kind: "unchanged" };
      }
      checkMaterial(material);
      current = material;
      print = newPrint;
      const failures: unknown[] = [];
      for (const apply of subscribers) {
        try {
          apply(material);
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
      lastError = undefined;
      const reload: TlsReload = { kind: "applied" };
      tell(reload);
      return reload;
    } catch (reason) {
      const error = reason instanceof Error ? reason : new Error(String(reason));
      const reload: TlsReload = { kind: "refused", error };
      if (error.message !== lastError) tell(reload);
      lastError = error.message;
      return reload;
    }
  };
  const start = (): Promise<TlsReload> => {
    next = undefined;
    const started = look().finally(() => {
      if (looking === started) looking = undefined;
    });
    looking = started;
    return started;
  };
  const source: TlsSource = {
    get tls() {
      const handedOut = print;
      const updates: TlsUpdates = (apply) => {
        if (print !== handedOut) apply(current);
        // One function may be given twice: each has its own end.
        const subscriber = (material: TlsMaterial) => apply(material);
        subscribers.add(subscriber);
        return () => void subscribers.delete(subscriber);
      };
      return { ...current, updates };
    },
    reload() {
      if (looking === undefined) return start();
      next ??= looking.then(start);
      return next;
    },
    async close() {
      closed.abort("the source is closed");
      subscribers.clear();
      await (next ?? looking);
    },
    [Symbol.asyncDispose]: () => source.close(),
  };
  if (refreshMs > 0) void keepLooking(source, refreshMs, clock, closed.signal);
  return source;
}

async function keepLooking(source: TlsSource, refreshMs: number, clock: Clock, closed: AbortSignal): Promise<void> {
  try {
    for (;;) {
      await clock.sleep(refreshMs, closed);
      await source.reload();
    }
  } catch {
    // closed
  }
}

/** @throws {Error} of OpenSSL, which holds no key. */
function checkMaterial({ cert, key, passphrase, ca, crl }: TlsMaterial): void {
  createSecureContext({
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(ca === undefined ? {} : { ca }),
    ...(crl === undefined ? {} : { crl }),
  });
}

/** Of everything, key and passphrase too; only kept in memory, to see a change. */
function fingerprint(material: TlsMaterial): string {
  const hash = createHash("sha256");
  for (const field of ["cert", "key", "passphrase", "ca", "crl"] as const) {
    for (const part of [material[field] ?? []].flat()) {
      const bytes = typeof part === "string" || Buffer.isBuffer(part) ? part : JSON.stringify(part);
      hash.update(`${field} ${Buffer.byteLength(bytes)}:`).update(bytes);
    }
  }
  return hash.digest("base64");
}
