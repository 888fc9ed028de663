/**
 * A grant as its holder passes it on: what `derive` gives, and the plugin that it names takes. Plain data, to be sent in
 * whatever way the two plugins talk.
 */
export interface GivenGrant {
  readonly grantId: string;
  /** Absolute URL at the host. */
  readonly endpointUrl: string;
  /** Secret: never log it. Good only for the plugin that the grant names, where the host asks for proof of that. */
  readonly bearerToken: string;
  readonly type: string;
  readonly version: string;
  /** Time to live when it was given, in ms. */
  readonly ttlMs: number;
  /** Name for logs. */
  readonly accessor: string;
  /** Whether its holder can renew it. */
  readonly renewable: boolean;
}
