import { Code, type ConnectError } from "@connectrpc/connect";
import { retryLater, type TokenBucketConfig, type TokenBucketState, take, tokenBucket } from "@cpg/resilience";
import type { EnteredCall } from "./grants.ts";

export interface GrantCallLimits {
  readonly maxConcurrentCalls: number;
  readonly rate: TokenBucketConfig;
}

/** The calls under one grant. */
export interface GrantCalls {
  /** @throws {ConnectError} `resource_exhausted` at a limit, with a retry delay; nothing has changed then. */
  enter(nowMs: number): EnteredCall;
  /** Cuts those in flight. */
  end(error: ConnectError): void;
}

/** Any of the calls may end at any time. */
const retryAfterMs = 1_000;

export function createGrantCalls({ maxConcurrentCalls, rate }: GrantCallLimits, nowMs: number): GrantCalls {
  const ended = new AbortController();
  let bucket: TokenBucketState = tokenBucket(rate, nowMs);
  let inFlight = 0;
  return {
    enter(atMs) {
      if (inFlight >= maxConcurrentCalls) {
        const message = `the grant has ${maxConcurrentCalls} calls in flight, and may have no more`;
        throw retryLater(message, Code.ResourceExhausted, retryAfterMs);
      }
      const taken = take(bucket, atMs, rate);
      bucket = taken.state;
      if (!taken.ok) {
        const message = `the grant allows ${rate.refillPerSecond} calls per second`;
        throw retryLater(message, Code.ResourceExhausted, taken.retryAfterMs);
      }
      inFlight++;
      let left = false;
      return {
        signal: ended.signal,
        leave() {
          if (left) return;
          left = true;
          inFlight--;
        },
      };
    },
    end: (error) => ended.abort(error),
  };
}
