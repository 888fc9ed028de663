// For every program.

export {
  type Backoff,
  type BackoffConfig,
  type BackoffOptions,
  backoffDelay,
  createBackoff,
  type Jitter,
  resolveBackoffOptions,
} from "./backoff.ts";
export { type Clock, systemClock } from "./clock.ts";
export {
  type TokenBucketConfig,
  type TokenBucketResult,
  type TokenBucketState,
  take,
  tokenBucket,
} from "./token-bucket.ts";

// For servers and interceptors, which meet in these context values.

export { type Peer, type PeerTls, peerKey } from "./peer.ts";
export { type VerifiedIdentity, verifiedIdentityKey } from "./verified-identity.ts";
