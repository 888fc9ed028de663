import { createHash } from "node:crypto";
import { type TokenBucketConfig, type TokenBucketState, take, tokenBucket } from "./token-bucket.ts";

/** One token bucket. */
export interface Bucket {
  state: TokenBucketState;
  /** Who waits for its tokens, in the order in which they came. Each is called when it has got one. */
  readonly queue: Set<() => void>;
  /** Ends the sleep until the next token. Undefined while nobody waits. */
  timer: AbortController | undefined;
}

/** Token buckets by key, for keys that others choose. */
export interface Buckets {
  /** Keys with a bucket of their own. */
  readonly size: number;
  /** The bucket of a key at `nowMs`. */
  get(key: string, nowMs: number): Bucket;
  /** The bucket that counts for a key now, which is the shared one if it has none of its own. Makes none. */
  peek(key: string): Bucket;
}

/** How many buckets are looked at to find one that is full again: bounds the cost of a flood of new keys. */
const maxLooks = 64;

/** A longer key is remembered by its hash, so that `maxKeys` bounds memory. */
const maxKeyLength = 256;

/**
 * Buckets in bounded memory, without ever forgetting that a key has taken tokens: else a caller with many keys could
 * make the limit of one begin anew.
 *
 * | a new key, when | its bucket |
 * |---|---|
 * | fewer than `maxKeys` have one | one of its own |
 * | one of those looked at is full and nobody waits for it | one of its own, in the place of that one, which loses nothing |
 * | else | the bucket that all such keys share |
 *
 * No more than 64 are looked at for each new key; the next look goes on behind them. A bucket of its own begins with the
 * tokens that the shared one has, since the key may have taken those that are missing; while somebody waits for the
 * shared one, all new keys go there. So no key ever gets more than one bucket would give it.
 */
export function createBuckets(config: TokenBucketConfig, maxKeys: number, startMs: number): Buckets {
  const buckets = new Map<string, Bucket>();
  const shared = newBucket(tokenBucket(config, startMs));

  const isIdle = ({ state, queue }: Bucket, nowMs: number) =>
    queue.size === 0 && take(state, nowMs, config, config.capacity).ok;

  /** Whether there is a place for one more key. */
  function makeRoom(nowMs: number): boolean {
    if (buckets.size < maxKeys) return true;
    let looks = Math.min(maxLooks, buckets.size);
    for (const [key, bucket] of buckets) {
      if (looks-- === 0) break;
      buckets.delete(key);
      if (isIdle(bucket, nowMs)) return true;
      buckets.set(key, bucket);
    }
    return false;
  }

  return {
    get size() {
      return buckets.size;
    },
    get(key, nowMs) {
      const name = nameOf(key);
      const known = buckets.get(name);
      if (known !== undefined) return known;
      if (shared.queue.size > 0 || !makeRoom(nowMs)) return shared;
      const bucket = newBucket(shared.state);
      buckets.set(name, bucket);
      return bucket;
    },
    peek: (key) => buckets.get(nameOf(key)) ?? shared,
  };
}

function newBucket(state: TokenBucketState): Bucket {
  return { state, queue: new Set(), timer: undefined };
}

function nameOf(key: string): string {
  return key.length <= maxKeyLength ? key : `sha256 ${createHash("sha256").update(key).digest("base64")}`;
}
