import type { Transport } from "@connectrpc/connect";

/** One grant as its holder has it. */
export interface LiveGrant {
  /** Public name of the grant; in its URL. */
  readonly grantId: string;
  /** Name for logs. The same as `grantId` of hosts that know no other. */
  readonly accessor: string;
  readonly type: string;
  /** Version that was granted. */
  readonly version: string;
  /** Time to live when it was given. */
  readonly ttlMs: number;
  /** Whether the host can be asked for more time. */
  readonly renewable: boolean;
  /** Calls under the grant. */
  readonly transport: Transport;
}

/** Where grants come from. What it throws is what the host answered; each call is bounded by its own deadline. */
export interface GrantSource {
  ask(signal: AbortSignal): Promise<LiveGrant>;
  /** Time to live from now on. Undefined: there is no further renewal. */
  renew(grant: LiveGrant, signal: AbortSignal): Promise<number | undefined>;
  /** Tells the host that the grant is not needed any more. */
  giveBack(grant: LiveGrant): Promise<void>;
}
