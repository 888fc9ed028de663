import {
  Code,
  ConnectError,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import type { LimitedCall } from "./caller-key.ts";
import { createListeners } from "./internal/listeners.ts";
import type { Next } from "./internal/observe-call.ts";
import { readTimeout } from "./internal/timeout-header.ts";
import { nodePeer } from "./node-peer.ts";
import { peerKey } from "./peer.ts";
import { answerTooMany, type LimitedHttpRequest, type LimitedHttpResponse } from "./rate-limit-answer.ts";
import { type Bucket, createBuckets } from "./rate-limit-buckets.ts";
import { rateLimited } from "./rate-limit-error.ts";
import { type RateLimitOptions, resolveRateLimitOptions } from "./rate-limit-options.ts";
import { take } from "./token-bucket.ts";
import { verifiedIdentityKey } from "./verified-identity.ts";

/** Lets no more than so many calls of one key begin in a time. */
export interface RateLimit {
  readonly interceptor: Interceptor;
  /**
   * The same limit for a request handler of Node, which is not called for what is too many: that is answered with HTTP
   * 429, or if it is an RPC with `resource_exhausted` in its protocol. Nothing waits here. An RPC that comes by here and
   * by the interceptor counts twice.
   */
  handler<Q extends LimitedHttpRequest, S extends LimitedHttpResponse>(
    inner: (request: Q, response: S) => void,
  ): (request: Q, response: S) => void;
  snapshot(key: string): RateLimitSnapshot;
  /** Keys with a bucket of their own. */
  readonly size: number;
  /** Tells of every call that has to wait, or is rejected. Errors of the listener are dropped. Returns how to leave. */
  onEvent(listener: (event: RateLimitEvent) => unknown): () => void;
}

/** A call came when its key had no token. */
export interface RateLimitEvent {
  readonly key: string;
  readonly kind: "queued" | "rejected";
  /** How long it has to wait, or had to. */
  readonly waitMs: number;
}

/** What one key has at one moment. */
export interface RateLimitSnapshot {
  readonly key: string;
  /** Calls that may begin at once. A fraction is what has flowed in for the next. */
  readonly tokens: number;
  readonly waiting: number;
}

/**
 * A rate limit: a token bucket for each key. A call takes one token when it begins, whatever its kind; the messages of a
 * stream cost nothing, since a stream can bring its messages no faster than the other side reads them.
 *
 * Calls without a token are rejected with `resource_exhausted`, a retry delay, and the proof that they did not run. With
 * `maxWaitMs`, which is for clients, they wait: in the order in which they came, no one overtakes, and who is aborted
 * leaves the queue. Memory is bounded, also under a flood of keys, and no bucket is forgotten before it is full again.
 * Algorithm: `take`.
 * @throws {RangeError} or {TypeError} naming the option.
 * @example
 * const limit = createRateLimit({ limit: 50, burst: 100 });
 * const server = createServer(connectNodeAdapter({ routes, interceptors: [limit.interceptor] }));
 */
export function createRateLimit(options: RateLimitOptions): RateLimit {
  const { bucket: config, key: keyOf, maxKeys, maxWaitMs, maxQueue, clock } = resolveRateLimitOptions(options);
  const listeners = createListeners<RateLimitEvent>();
  const buckets = createBuckets(config, maxKeys, clock.monotonic());
  const msPerToken = 1_000 / config.refillPerSecond;

  /** Takes a token, unless others wait for it. Returns how long it is until the token after all of theirs: 0 if taken. */
  function tryTake(bucket: Bucket, nowMs: number): number {
    const result = take(bucket.state, nowMs, config);
    const waiting = bucket.queue.size;
    if (result.ok) {
      if (waiting > 0) return waiting * msPerToken;
      bucket.state = result.state;
      return 0;
    }
    bucket.state = result.state;
    return result.retryAfterMs + waiting * msPerToken;
  }

  /** Gives tokens to those who wait, one by one as they flow in, until nobody does. */
  async function serve(bucket: Bucket): Promise<void> {
    const timer = new AbortController();
    bucket.timer = timer;
    while (bucket.queue.size > 0) {
      const result = take(bucket.state, clock.monotonic(), config);
      bucket.state = result.state;
      if (result.ok) {
        const [longest] = bucket.queue;
        longest?.();
        continue;
      }
      await clock.sleep(result.retryAfterMs, timer.signal).catch(() => {});
      if (bucket.timer !== timer) return;
    }
    bucket.timer = undefined;
  }

  /** Resolves when the call has its token. */
  function wait(bucket: Bucket, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        bucket.queue.delete(go);
        signal.removeEventListener("abort", onAbort);
      };
      const go = () => {
        leave();
        resolve();
      };
      const onAbort = () => {
        leave();
        if (bucket.queue.size === 0) {
          bucket.timer?.abort(nobodyWaits);
          bucket.timer = undefined;
        }
        reject(ConnectError.from(signal.reason, Code.Canceled));
      };
      bucket.queue.add(go);
      signal.addEventListener("abort", onAbort, { once: true });
      if (bucket.timer === undefined) void serve(bucket);
    });
  }

  /** The call has no token. */
  function waitOrReject(
    bucket: Bucket,
    key: string,
    waitMs: number,
    next: Next,
    request: UnaryRequest | StreamRequest,
  ) {
    const { signal, header } = request;
    if (signal.aborted) return Promise.reject(ConnectError.from(signal.reason, Code.Canceled));
    const isTooLong = maxWaitMs === 0 || waitMs > maxWaitMs || waitMs >= (readTimeout(header) ?? Infinity);
    if (isTooLong || bucket.queue.size >= maxQueue) {
      listeners.tell({ key, kind: "rejected", waitMs });
      return Promise.reject(rateLimited(key, waitMs));
    }
    const turn = wait(bucket, signal);
    listeners.tell({ key, kind: "queued", waitMs });
    return turn.then(() => next(request));
  }

  function call(next: Next, request: UnaryRequest | StreamRequest): Promise<UnaryResponse | StreamResponse> {
    let key: string;
    let bucket: Bucket;
    let waitMs: number;
    try {
      key = keyOf(limitedCall(request));
      const nowMs = clock.monotonic();
      bucket = buckets.get(key, nowMs);
      waitMs = tryTake(bucket, nowMs);
    } catch (reason) {
      return Promise.reject(reason);
    }
    return waitMs === 0 ? next(request) : waitOrReject(bucket, key, waitMs, next, request);
  }

  return {
    interceptor: (next) => (request) => call(next, request),
    handler: (inner) => (request, response) => {
      const key = keyOf(limitedRequest(request));
      const nowMs = clock.monotonic();
      const waitMs = tryTake(buckets.get(key, nowMs), nowMs);
      if (waitMs === 0) {
        inner(request, response);
      } else {
        listeners.tell({ key, kind: "rejected", waitMs });
        answerTooMany(request, response, waitMs);
      }
    },
    snapshot(key) {
      const { state, queue } = buckets.peek(key);
      const flown = (Math.max(0, clock.monotonic() - state.atMs) * config.refillPerSecond) / 1_000;
      return { key, tokens: Math.min(config.capacity, state.tokens + flown), waiting: queue.size };
    },
    get size() {
      return buckets.size;
    },
    onEvent: listeners.add,
  };
}

const nobodyWaits = new Error("nobody waits any more");

function limitedCall({ contextValues, service, method, header }: UnaryRequest | StreamRequest): LimitedCall {
  return {
    identity: contextValues.get(verifiedIdentityKey),
    peer: contextValues.get(peerKey),
    method: `${service.typeName}/${method.name}`,
    header: (name) => header.get(name),
  };
}

function limitedRequest(request: LimitedHttpRequest): LimitedCall {
  return {
    identity: undefined,
    peer: nodePeer(request),
    method: request.method ?? "",
    header: (name) => request.headers[name]?.toString() ?? null,
  };
}
