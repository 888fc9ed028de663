import {
  type Clock,
  type Peer,
  peerName,
  type TokenBucketConfig,
  type TokenBucketState,
  take,
  tokenBucket,
} from "@cpg/resilience";
import { tooMany } from "../identity/too-many.ts";

export interface HandshakeRateOptions {
  /** Handshakes of one peer address at once. Default 1 000. */
  readonly burst?: number | undefined;
  /** Handshakes per second of one peer address, in the long run. Default 100. */
  readonly perSecond?: number | undefined;
  /** Handshakes at once under one self_id from one address. Default 100. */
  readonly burstPerName?: number | undefined;
  /** Handshakes per second under one self_id from one address, in the long run. Default 10. */
  readonly perSecondPerName?: number | undefined;
  /** Addresses and names remembered; the one not seen for longest is forgotten first. Default 10 000. */
  readonly maxTracked?: number | undefined;
}

/** What a handshake counts as. */
export type HandshakeKind =
  | { readonly kind: "named"; readonly selfId: string }
  | { readonly kind: "anonymous" }
  | { readonly kind: "failed" };

/**
 * Limits handshakes per peer.
 *
 * All plugins of one machine share the address 127.0.0.1, so the address alone would let a plugin that crashes and
 * shakes hands in a loop keep out all others. Hence two buckets: one for the name (one more for everything that fails),
 * then one for the address, which what the first refuses never reaches. Named and anonymous handshakes have separate
 * buckets for the address, so that clients which need no identity cannot keep out plugins which do.
 */
export interface HandshakeRate {
  /** @throws {ConnectError} `resource_exhausted` with a retry delay. */
  admit(peer: Peer | undefined, kind: HandshakeKind): void;
  /** Addresses and names remembered. */
  readonly size: number;
}

/** @throws {RangeError} naming the option. */
export function createHandshakeRate(options: HandshakeRateOptions, clock: Clock): HandshakeRate {
  const { burst = 1_000, perSecond = 100, burstPerName = 100, perSecondPerName = 10, maxTracked = 10_000 } = options;
  for (const [name, value] of Object.entries({ burst, perSecond, burstPerName, perSecondPerName, maxTracked })) {
    if (!(value > 0) || !Number.isFinite(value)) throw new RangeError(`${name} must be greater than 0, got ${value}`);
  }
  if (burst < 1 || burstPerName < 1 || maxTracked < 2) {
    throw new RangeError("burst and burstPerName must be at least 1, maxTracked at least 2");
  }
  const perAddress: TokenBucketConfig = { capacity: burst, refillPerSecond: perSecond };
  const perName: TokenBucketConfig = { capacity: burstPerName, refillPerSecond: perSecondPerName };
  /** Least recently used first. */
  const buckets = new Map<string, TokenBucketState>();

  const remember = (key: string, state: TokenBucketState): void => {
    buckets.delete(key);
    buckets.set(key, state);
    if (buckets.size <= maxTracked) return;
    const { value: oldest } = buckets.keys().next();
    if (oldest !== undefined) buckets.delete(oldest);
  };

  return {
    get size() {
      return buckets.size;
    },
    admit(peer, kind) {
      const address = peerName(peer);
      const nowMs = clock.monotonic();
      const steps: { key: string; config: TokenBucketConfig; message: string }[] = [];
      if (kind.kind !== "anonymous") {
        const name = kind.kind === "named" ? `self_id ${kind.selfId}` : "failed";
        steps.push({ key: `${name} of ${address}`, config: perName, message: `too many handshakes: ${name}` });
      }
      const group = kind.kind === "named" ? "named" : "anonymous";
      steps.push({
        key: `${group} of ${address}`,
        config: perAddress,
        message: "too many handshakes from this address",
      });

      const taken: { key: string; state: TokenBucketState }[] = [];
      for (const { key, config, message } of steps) {
        const result = take(buckets.get(key) ?? tokenBucket(config, nowMs), nowMs, config);
        if (!result.ok) throw tooMany(message, result.retryAfterMs);
        taken.push({ key, state: result.state });
      }
      for (const { key, state } of taken) remember(key, state);
    },
  };
}
