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
export { type Peer, type PeerTls, peerKey } from "./peer.ts";
export {
  type TokenBucketConfig,
  type TokenBucketResult,
  type TokenBucketState,
  take,
  tokenBucket,
} from "./token-bucket.ts";
export { type VerifiedIdentity, verifiedIdentityKey } from "./verified-identity.ts";
